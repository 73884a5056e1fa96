// Each library's own word for its version, so that none can be out of date.
#include "Versions.h"

#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>

#include <gnu/libc-version.h>

namespace tnrt {

std::string builtFrom() { return "commit " TNLLM_COMMIT; }

std::string linkedVersions() {
  const auto &json = nlohmann::json::meta();
  return "sentencepiece " TNLLM_SENTENCEPIECE_VERSION
         " with protobuf-lite, nlohmann-json " +
         json["version"]["string"].get<std::string>() +
         ", CLI11 " CLI11_VERSION ", libstdc++ " +
         std::to_string(_GLIBCXX_RELEASE) + ", glibc " +
         ::gnu_get_libc_version();
}

} // namespace tnrt
