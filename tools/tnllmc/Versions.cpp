// Versions come from the headers and packages of the build; the C library is the one
// that runs.
#include "Versions.h"

#include "llvm/Config/llvm-config.h"

#include <cstdio> // _GLIBCXX_RELEASE
#include <gnu/libc-version.h>

std::string tnllmc::getLinkedVersions() {
  const std::string cxx = "libstdc++ " + std::to_string(_GLIBCXX_RELEASE);
  return "links LLVM, MLIR and lld " LLVM_VERSION_STRING
         ", nlohmann-json " TNLLM_JSON_VERSION ", " +
         cxx + ", glibc " + ::gnu_get_libc_version() +
         "\nexecutables link sentencepiece " TNLLM_SENTENCEPIECE_VERSION
         " with protobuf-lite, nlohmann-json " TNLLM_JSON_VERSION
         ", CLI11 " TNLLM_CLI11_VERSION ", " +
         cxx;
}
