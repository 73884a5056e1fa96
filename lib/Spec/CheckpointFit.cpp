// All missing, misshapen and surplus tensors of a checkpoint, each listed.
#include "CheckpointFit.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace tnllm;
using namespace tnllm::spec;
using llvm::StringRef;

namespace {
constexpr StringRef headName = "lm_head.weight";

// The tail of a name below model.layers.<l>., or the name itself.
StringRef withoutLayer(StringRef name) {
  StringRef rest = name;
  unsigned layer = 0;
  if (rest.consume_front("model.layers.") && !rest.consumeInteger(10, layer) &&
      rest.consume_front("."))
    return rest;
  return name;
}

bool isNormParameter(StringRef name, StringRef suffix) {
  StringRef tail = withoutLayer(name);
  return tail.consume_back(suffix) &&
         (tail == "token_norm" || tail == "channel_norm" ||
          tail == "token_mixer.norm" || tail == "model.final_norm");
}

// Tables that training code stores and any loader recomputes.
bool isHarmlessBuffer(StringRef name) {
  return name.ends_with(".slopes") || name.ends_with(".index") ||
         name.ends_with(".inv_freq") || name.ends_with("_attn_mask") ||
         name.ends_with(".position_ids") || name == "model.slopes";
}

// True where each layer normalises what it attends to.
bool isLinearEverywhere(const ModelSpec &spec) {
  return llvm::all_of(spec.attention, [](AttentionKind kind) {
    return kind == AttentionKind::Linear;
  });
}

// The setting that a surplus tensor contradicts: with it ignored the model
// would compute something else than it was trained for. Empty when it is just
// surplus.
StringRef contradictedSetting(StringRef name, const ModelSpec &spec) {
  StringRef tail = withoutLayer(name);
  if (spec.norm != NormKind::Srms && tail.starts_with("token_mixer.norm.") &&
      !isLinearEverywhere(spec))
    return "attention is not linear there";
  if (isNormParameter(name, ".weight"))
    return "norm_type is simplermsnorm";
  if (isNormParameter(name, ".bias"))
    return spec.norm == NormKind::Srms ? "norm_type is simplermsnorm"
                                       : "norm_bias is false";
  if (tail == "token_mixer.lrpe.theta")
    return "linear_use_lrpe_list has no LRPE there";
  if (name == "model.embed_positions.weight")
    return "absolute_positions is false";
  if (tail == "token_mixer.qkvu_proj.weight" ||
      tail == "token_mixer.qkvu_proj.bias")
    return spec.gate ? "bias is false" : "gate is false";
  if (tail == "token_mixer.qkv_proj.weight" ||
      tail == "token_mixer.qkv_proj.bias")
    return spec.gate ? "gate is true" : "bias is false";
  bool isProjectionBias =
      tail == "token_mixer.out_proj.bias" || tail == "channel_mixer.l1.bias" ||
      tail == "channel_mixer.l2.bias" || tail == "channel_mixer.l3.bias";
  return isProjectionBias ? "bias is false" : "";
}

// True for a tensor of layer `spec.layers` or above: the config uses the first
// layers of a deeper checkpoint.
bool isBeyondLayers(StringRef name, const ModelSpec &spec) {
  unsigned long long layer = 0;
  return name.consume_front("model.layers.") &&
         !name.consumeInteger(10, layer) &&
         layer >= static_cast<unsigned long long>(spec.layers);
}

// The published code computes LayerNorm for every norm_type but simplermsnorm,
// so an "rmsnorm" whose norms have biases was trained as LayerNorm.
void settleNorm(const tnrt::Checkpoint &checkpoint, ParsedSpec &parsed) {
  ModelSpec &spec = parsed.spec;
  if (spec.norm == NormKind::Srms || parsed.normBiasGiven)
    return;
  spec.normBias =
      llvm::any_of(checkpoint.tensors(), [](const tnrt::TensorView &tensor) {
        return isNormParameter(tensor.name, ".bias");
      });
  if (spec.norm == NormKind::Layer || !spec.normBias)
    return;
  spec.norm = NormKind::Layer;
  if (!parsed.normEpsGiven)
    spec.normEps = defaultNormEps(spec.norm);
}

// A heading and one indented line for each tensor.
std::string listing(const llvm::Twine &heading,
                    const std::vector<std::string> &lines) {
  return (heading + ":\n  " + llvm::join(lines, "\n  ")).str();
}

std::string count(size_t number, StringRef one, StringRef many) {
  return std::to_string(number) + " " + (number == 1 ? one : many).str();
}

class Fitter {
public:
  Fitter(StringRef label, const tnrt::Checkpoint &checkpoint,
         ParsedSpec &parsed, Diagnostics &diagnostics)
      : label(label), checkpoint(checkpoint), parsed(parsed), spec(parsed.spec),
        diagnostics(diagnostics) {}

  void run() {
    settleNorm(checkpoint, parsed);
    for (const Parameter &parameter : spec.parameters())
      checkParameter(parameter);
    tieAbsentHead();
    for (const tnrt::TensorView &tensor : checkpoint.tensors())
      checkSurplus(tensor.name);
    report();
  }

private:
  void checkParameter(const Parameter &parameter) {
    expected.insert(parameter.tensor);
    std::string shape = tnrt::shapeText(parameter.shape);
    const tnrt::TensorView *tensor = checkpoint.find(parameter.tensor);
    if (!tensor) {
      missing.push_back(parameter.tensor + " " + shape);
      headMissing |= parameter.role == ParameterRole::Head;
      return;
    }
    if (tensor->shape != parameter.shape)
      misshapen.push_back(parameter.tensor + ": expected " + shape +
                          ", found " + tnrt::shapeText(tensor->shape));
    if (!tnrt::isFloatDType(tensor->dtype))
      mistyped.push_back(parameter.tensor +
                         ": expected F32, F16 or BF16, found " +
                         tnrt::dtypeName(tensor->dtype));
  }

  // The head alone being absent is how a tied model is stored. Among other
  // missing tensors it is one more of them.
  void tieAbsentHead() {
    if (!headMissing || missing.size() != 1)
      return;
    missing.clear();
    spec.tiedHead = true;
    if (parsed.untiedGiven)
      diagnostics.warning(label, {},
                          "there is no lm_head.weight, so the head "
                          "uses the embedding, although "
                          "tie_word_embeddings is false");
  }

  void checkSurplus(StringRef name) {
    if (expected.contains(name) || isHarmlessBuffer(name))
      return;
    StringRef setting = contradictedSetting(name, spec);
    if (isBeyondLayers(name, spec))
      beyond.push_back(name.str());
    else if (!setting.empty())
      contradicting.push_back((name + ", but " + setting).str());
    else if (name == headName)
      diagnostics.warning(label, {},
                          "lm_head.weight is not used, because "
                          "tie_word_embeddings is true");
    else
      surplus.push_back(name.str());
  }

  void report() {
    auto error = [&](const std::vector<std::string> &lines, StringRef one,
                     StringRef many) {
      if (!lines.empty())
        diagnostics.error(label, {},
                          listing(count(lines.size(), one, many), lines));
    };
    error(missing, "tensor is missing", "tensors are missing");
    error(misshapen, "tensor has another shape than the config says",
          "tensors have other shapes than the config says");
    error(mistyped, "tensor has a dtype that weights cannot have",
          "tensors have dtypes that weights cannot have");
    error(contradicting, "tensor contradicts the config",
          "tensors contradict the config");
    if (!beyond.empty())
      diagnostics.warning(label, {},
                          "the checkpoint has more layers than the " +
                              llvm::Twine(spec.layers) +
                              " of decoder_layers; they are not used");
    if (!surplus.empty())
      diagnostics.warning(
          label, {},
          listing(count(surplus.size(), "tensor is", "tensors are") +
                      " not part of the model and not used",
                  surplus));
  }

  StringRef label;
  const tnrt::Checkpoint &checkpoint;
  ParsedSpec &parsed;
  ModelSpec &spec;
  Diagnostics &diagnostics;
  llvm::StringSet<> expected;
  bool headMissing = false;
  std::vector<std::string> missing, misshapen, mistyped, contradicting, surplus,
      beyond;
};
} // namespace

void tnllm::spec::fitCheckpoint(StringRef label,
                                const tnrt::Checkpoint &checkpoint,
                                ParsedSpec &parsed, Diagnostics &diagnostics) {
  Fitter(label, checkpoint, parsed, diagnostics).run();
}
