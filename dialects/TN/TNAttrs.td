// Typed attributes of the tn dialect.
#ifndef TN_ATTRS_TD
#define TN_ATTRS_TD

include "TN/TNDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def TN_ActivationKind : I32EnumAttr<"ActivationKind", "activation function", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"SiLU", 1, "silu">,
  I32EnumAttrCase<"GELU", 2, "gelu">,
  I32EnumAttrCase<"ReLU", 3, "relu">,
  I32EnumAttrCase<"ELU", 4, "elu">,
  I32EnumAttrCase<"Sigmoid", 5, "sigmoid">,
  I32EnumAttrCase<"OnePlusELU", 6, "one_plus_elu">,
  I32EnumAttrCase<"TwoPlusELU", 7, "two_plus_elu">,
  I32EnumAttrCase<"LeakyReLU", 8, "leaky_relu">]> {
  let cppNamespace = "::tnllm::tn";
  let genSpecializedAttr = 0;
}
def TN_ActivationAttr : EnumAttr<TN_Dialect, TN_ActivationKind, "activation"> {
  let assemblyFormat = "`<` $value `>`";
}

def TN_NormKind : I32EnumAttr<"NormKind", "normalisation", [
  I32EnumAttrCase<"SRMS", 0, "srms">,
  I32EnumAttrCase<"RMS", 1, "rms">,
  I32EnumAttrCase<"Layer", 2, "layer">]> {
  let cppNamespace = "::tnllm::tn";
  let genSpecializedAttr = 0;
}
def TN_NormAttr : EnumAttr<TN_Dialect, TN_NormKind, "norm_kind"> {
  let assemblyFormat = "`<` $value `>`";
}

def TN_DecayRule : I32EnumAttr<"DecayRule", "how decay depends on head and layer", [
  I32EnumAttrCase<"TransNormer", 0, "transnormer">,
  I32EnumAttrCase<"Headwise", 1, "headwise">,
  I32EnumAttrCase<"None", 2, "none">]> {
  let cppNamespace = "::tnllm::tn";
  let genSpecializedAttr = 0;
}

def TN_DecayAttr : AttrDef<TN_Dialect, "Decay"> {
  let mnemonic = "decay";
  let summary = "the decay rule of one layer";
  let description = [{
    `transnormer`: slope(h) * (1 - layer / (layers - 1) + 1e-5), where with one
    layer the fraction is 0; `headwise`: slope(h); `none`: 0, no decay. The decay of
    a head per token is exp(-slope). (arXiv 2307.14995, section 3.1.1.)
  }];
  let parameters = (ins EnumParameter<TN_DecayRule>:$rule, "int64_t":$layer,
                        "int64_t":$layers);
  let assemblyFormat = "`<` $rule `,` `layer` `=` $layer `of` $layers `>`";
  let genVerifyDecl = 1;
}

def TN_InitKind : I32EnumAttr<"InitKind", "how a parameter is initialised", [
  I32EnumAttrCase<"Normal", 0, "normal">,
  I32EnumAttrCase<"Constant", 1, "constant">,
  I32EnumAttrCase<"LRPETheta", 2, "lrpe_theta">]> {
  let cppNamespace = "::tnllm::tn";
  let genSpecializedAttr = 0;
}
def TN_InitAttr : AttrDef<TN_Dialect, "Init"> {
  let mnemonic = "init";
  let summary = "initial value of a parameter";
  let description = [{
    `normal`: mean 0 and standard deviation `value`; `constant`: every element is
    `value`; `lrpe_theta`: element i of n is 10000^(-2i/n), `value` unused.
  }];
  let parameters = (ins EnumParameter<TN_InitKind>:$kind, "::mlir::FloatAttr":$value);
  let assemblyFormat = "`<` $kind `,` $value `>`";
}

#endif // TN_ATTRS_TD
