// CPU feature check. CPUID (through the compiler's builtin, which also asks
// whether the kernel saves the wide registers) decides for the features it
// names; /proc/cpuinfo, where the kernel lists the rest under slightly other
// names, for the others.
#include "CpuFeatures.h"

#include "tnrt/formats/MappedFile.h"
#include "tnrt/formats/Text.h"

#include <cctype>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

namespace tnrt {

namespace {

// Nothing when the builtin does not know the name.
std::optional<bool> askCpuid(const std::string &feature) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // The builtin takes literals only.
#define TNRT_CPU_FEATURE(name)                                                 \
  if (feature == name)                                                         \
    return __builtin_cpu_supports(name) != 0;
  TNRT_CPU_FEATURE("sse3")
  TNRT_CPU_FEATURE("ssse3")
  TNRT_CPU_FEATURE("sse4.1")
  TNRT_CPU_FEATURE("sse4.2")
  TNRT_CPU_FEATURE("popcnt")
  TNRT_CPU_FEATURE("aes")
  TNRT_CPU_FEATURE("pclmul")
  TNRT_CPU_FEATURE("avx")
  TNRT_CPU_FEATURE("avx2")
  TNRT_CPU_FEATURE("fma")
  TNRT_CPU_FEATURE("f16c")
  TNRT_CPU_FEATURE("bmi")
  TNRT_CPU_FEATURE("bmi2")
  TNRT_CPU_FEATURE("lzcnt")
  TNRT_CPU_FEATURE("movbe")
  TNRT_CPU_FEATURE("adx")
  TNRT_CPU_FEATURE("sha")
  TNRT_CPU_FEATURE("fsgsbase")
  TNRT_CPU_FEATURE("rdpid")
  TNRT_CPU_FEATURE("gfni")
  TNRT_CPU_FEATURE("vaes")
  TNRT_CPU_FEATURE("vpclmulqdq")
  TNRT_CPU_FEATURE("avxvnni")
  TNRT_CPU_FEATURE("avx512f")
  TNRT_CPU_FEATURE("avx512bw")
  TNRT_CPU_FEATURE("avx512cd")
  TNRT_CPU_FEATURE("avx512dq")
  TNRT_CPU_FEATURE("avx512vl")
  TNRT_CPU_FEATURE("avx512ifma")
  TNRT_CPU_FEATURE("avx512vbmi")
  TNRT_CPU_FEATURE("avx512vbmi2")
  TNRT_CPU_FEATURE("avx512vnni")
  TNRT_CPU_FEATURE("avx512bitalg")
  TNRT_CPU_FEATURE("avx512vpopcntdq")
  TNRT_CPU_FEATURE("avx512vp2intersect")
  TNRT_CPU_FEATURE("avx512bf16")
  TNRT_CPU_FEATURE("avx512fp16")
#undef TNRT_CPU_FEATURE
#endif
  return std::nullopt;
}

// "avx512_vp2intersect" and "avx512vp2intersect" alike; the kernel's own names
// for what LLVM calls otherwise.
std::string normalised(const std::string &name) {
  static const std::pair<const char *, const char *> aliases[] = {
      {"pni", "sse3"},         {"abm", "lzcnt"},
      {"bmi1", "bmi"},         {"sha_ni", "sha"},
      {"cr8_legacy", "cr8"},   {"3dnowprefetch", "prfchw"},
      {"lahf_lm", "sahf"},     {"rdrand", "rdrnd"},
      {"pclmulqdq", "pclmul"}, {"amx_bf16", "amx-bf16"},
      {"erms", "ermsb"},       {"ptwrite", "ptwrite"}};
  std::string result = name;
  for (const auto &[theirs, ours] : aliases)
    if (name == theirs)
      result = ours;
  std::string plain;
  for (unsigned char c : result)
    if (std::isalnum(c))
      plain += static_cast<char>(std::tolower(c));
  return plain;
}

const std::set<std::string> &kernelFlags() {
  static const std::set<std::string> flags = [] {
    std::set<std::string> result;
    Result<std::string> text = readWholeFile("/proc/cpuinfo", 64 << 20);
    const size_t begin = text ? text->find("\nflags") : std::string::npos;
    if (begin == std::string::npos)
      return result;
    const size_t colon = text->find(':', begin);
    std::istringstream line(
        text->substr(colon + 1, text->find('\n', colon) - colon - 1));
    for (std::string flag; line >> flag;)
      result.insert(normalised(flag));
    return result;
  }();
  return flags;
}

} // namespace

std::vector<std::string>
missingCpuFeatures(const std::vector<std::string> &features) {
  std::vector<std::string> missing;
  for (const std::string &feature : features) {
    std::optional<bool> known = askCpuid(feature);
    if (!(known ? *known : kernelFlags().count(normalised(feature)) != 0))
      missing.push_back(feature);
  }
  return missing;
}

Status checkCpu(const Manifest::Target &target) {
  std::vector<std::string> missing = missingCpuFeatures(target.required);
  if (missing.empty())
    return {};
  const std::string lacks = "this CPU lacks " + joined(missing) +
                            ", which the program was compiled for (" +
                            target.march + "); ";
  // What tnllmc --march=native asks for.
  if (!missingCpuFeatures({"avx2", "fma", "bmi2", "f16c"}).empty())
    return Error{lacks + "there is no code for a CPU without AVX2 and FMA"};
  return Error{lacks + "compile it again with --march=" +
               (target.march != "x86-64-v3" ? "x86-64-v3 or " : "") +
               "native on this machine"};
}

} // namespace tnrt
