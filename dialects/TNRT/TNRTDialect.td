// The tnrt dialect: WHEN things happen on the host.
#ifndef TNRT_DIALECT_TD
#define TNRT_DIALECT_TD

include "mlir/IR/OpBase.td"

def TNRT_Dialect : Dialect {
  let name = "tnrt";
  let cppNamespace = "::tnllm::tnrt";
  let summary = "the host's schedule: buffers, parameters, launches";
  let description = [{
    One operation for each entry of the runtime's C ABI (`tnrt/ABI.def`), and
    `tnrt.alloc`, which the memory plan replaces by a view of the arena. The host
    functions are ordinary `func.func`s whose first argument is the context.
  }];
  let dependentDialects = ["::tnllm::tnk::TNKDialect"]; // tensor maps
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

#endif // TNRT_DIALECT_TD
