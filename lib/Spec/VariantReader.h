// Reads the keys by which a model differs from the published one: ablations,
// and baselines to compare with.
#ifndef TNLLM_LIB_SPEC_VARIANTREADER_H
#define TNLLM_LIB_SPEC_VARIANTREADER_H

#include "ValueReader.h"

#include "tnllm/Spec/ModelSpec.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace tnllm::spec {

// `find` gives the value of a key, or null where the file leaves it out.
// Expects sizes, `linear_use_lrpe_list` and `decay` to be resolved: the short
// key `position_encoding` sets the latter two.
void readVariants(ModelSpec &spec, ValueReader &value,
                  llvm::function_ref<const Node *(llvm::StringRef)> find);

} // namespace tnllm::spec

#endif // TNLLM_LIB_SPEC_VARIANTREADER_H
