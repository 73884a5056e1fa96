// What the published PyTorch code (TransnormerForCausalLM) can compute.
#ifndef TNRT_APP_PUBLISHEDMODEL_H
#define TNRT_APP_PUBLISHEDMODEL_H

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace tnrt {

// `model`: the object of that name in a manifest. Its keys, with their values
// ("decay: \"none\""), for which that code computes something else: it has no
// such key, or another formula under the same name. Empty: it computes the
// same function. Keys that are not there have the published value.
std::vector<std::string>
keysBeyondPublished(const nlohmann::ordered_json &model);

} // namespace tnrt

#endif // TNRT_APP_PUBLISHEDMODEL_H
