// CPU targets: the psABI levels by table, the native CPU by asking LLVM.
#include "tnllm/Target/CPUTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

#include <unistd.h>

using namespace llvm;

namespace tnllm {
namespace {

// What a level adds that generated code may use; the names are those of LLVM's
// features, of GCC's __builtin_cpu_supports and of the manifest alike.
const char *const level3Features[] = {"avx2", "fma", "bmi2", "f16c"};
const char *const level4Features[] = {"avx512f", "avx512bw", "avx512cd",
                                      "avx512dq", "avx512vl"};

template <size_t N>
bool hasAll(const StringMap<bool> &features, const char *const (&names)[N]) {
  return llvm::all_of(names,
                      [&](const char *name) { return features.lookup(name); });
}

void useLevel3(CPUTarget &target) {
  target.requiredFeatures.assign(std::begin(level3Features),
                                 std::end(level3Features));
  target.vectorBits = 256;
  target.tileRows = 6;
  target.panelWidth = 16;
}

void useLevel4(CPUTarget &target) {
  target.requiredFeatures.insert(target.requiredFeatures.end(),
                                 std::begin(level4Features),
                                 std::end(level4Features));
  target.vectorBits = 512;
  target.tileRows = 6;
  target.panelWidth = 64;
}

// sysconf answers 0 or -1 where the C library does not know.
void readCacheSizes(CPUTarget &target) {
  if (long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0)
    target.l1Bytes = bytes;
  if (long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0)
    target.l2Bytes = bytes;
}

FailureOr<CPUTarget>
getNativeTarget(function_ref<void(const Twine &)> emitError) {
  StringMap<bool> host = sys::getHostCPUFeatures();
  if (!hasAll(host, level3Features)) {
    emitError("--march=native: this CPU (" + sys::getHostCPUName() +
              ") needs AVX2 and FMA and lacks them");
    return failure();
  }
  CPUTarget target;
  target.cpu = sys::getHostCPUName().str();
  // Sorted, so that the text (and the fingerprint over it) is stable.
  std::vector<std::string> features;
  for (const auto &entry : host)
    features.push_back((entry.second ? "+" : "-") + entry.first().str());
  llvm::sort(features, [](const std::string &a, const std::string &b) {
    return StringRef(a).drop_front() < StringRef(b).drop_front();
  });
  target.features = llvm::join(features, ",");
  useLevel3(target);
  // Uses an instruction where the host has it.
  auto use = [&](const char *feature, bool &has) {
    has = host.lookup(feature);
    if (has)
      target.requiredFeatures.push_back(feature);
  };
  if (hasAll(host, level4Features)) {
    useLevel4(target);
    use("avx512bf16", target.hasBF16Dot);
    use("avx512vnni", target.hasByteDot);
  } else {
    use("avxvnni", target.hasByteDot);
  }
  readCacheSizes(target);
  return target;
}

} // namespace

int64_t CPUTarget::attentionChunk() const {
  constexpr int64_t kLeast = 16, kMost = 256;
  int64_t chunk = kLeast;
  while (chunk < kMost &&
         (2 * chunk) * (2 * chunk) * int64_t(sizeof(float)) <= l1Bytes / 2)
    chunk *= 2;
  return chunk;
}

FailureOr<CPUTarget> getCPUTarget(StringRef march,
                                  function_ref<void(const Twine &)> emitError) {
  FailureOr<CPUTarget> target = CPUTarget();
  if (march == "native") {
    target = getNativeTarget(emitError);
    if (failed(target))
      return failure();
  } else if (march == "x86-64-v3" || march == "x86-64-v4") {
    target->cpu = march.str();
    useLevel3(*target);
    if (march == "x86-64-v4")
      useLevel4(*target);
  } else {
    emitError("--march: unknown CPU '" + march +
              "', expected native, x86-64-v3 or x86-64-v4");
    return failure();
  }
  target->triple = "x86_64-unknown-linux-gnu";
  target->march = march.str();
  return target;
}

} // namespace tnllm
