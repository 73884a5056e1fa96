// FakeModule's toy model as a GPU program: the entry points queue kernels that
// compute the same floats on the fake driver (FakeCuda.h), and the head is a
// matrix product. Header-only; a test includes it in one file.
#ifndef TNRT_TEST_FAKEDEVICEMODULE_H
#define TNRT_TEST_FAKEDEVICEMODULE_H

#include "FakeCuda.h"
#include "FakeModule.h"

#include "cuda/Library.h"
#include "tnrt/formats/DType.h"
#include "tnrt/score.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

namespace tnrt::fake {

// The fake driver's state, loaded on first use.
inline Cuda &cuda() {
  static Cuda *state = [] {
    void *handle = ::dlopen(TNRT_FAKE_CUDA, RTLD_NOW | RTLD_NODELETE);
    if (!handle)
      std::abort();
    return reinterpret_cast<Cuda *(*)()>(::dlsym(handle, "tnrt_fake_cuda"))();
  }();
  return *state;
}

enum DeviceKernel : int64_t { kForward, kMapped, kSample, kPacked };

template <typename T> T parameterOf(void **parameters, int index) {
  T value;
  std::memcpy(&value, parameters[index], sizeof value);
  return value;
}

// tokens, positions, hidden, length, embedding, state 0, state 1, arena,
// constants (kFactors). The arena's first word counts the sequences that have
// run.
inline void runForward(void **p, int64_t tasks) {
  *parameterOf<int64_t *>(p, 7) += tasks;
  for (int64_t row = 0; row < tasks; ++row)
    forwardSequence(
        row, parameterOf<int64_t>(p, 3), parameterOf<const int32_t *>(p, 0),
        parameterOf<const int64_t *>(p, 1), parameterOf<const float *>(p, 4),
        *parameterOf<const float (*)[2]>(p, 8),
        [p](int64_t layer) {
          return parameterOf<float *>(p, static_cast<int>(5 + layer));
        },
        parameterOf<float *>(p, 2));
}

// The same with offsets for the length.
inline void runPacked(void **p, int64_t tasks) {
  *parameterOf<int64_t *>(p, 7) += tasks;
  const auto *offsets = parameterOf<const int64_t *>(p, 3);
  const auto *positions = parameterOf<const int64_t *>(p, 1);
  for (int64_t row = 0; row < tasks; ++row)
    forwardTokens(
        row, offsets[row], offsets[row + 1], parameterOf<const int32_t *>(p, 0),
        [positions](int64_t t) { return positions[t]; },
        parameterOf<const float *>(p, 4),
        *parameterOf<const float (*)[2]>(p, 8),
        [p](int64_t layer) {
          return parameterOf<float *>(p, static_cast<int>(5 + layer));
        },
        parameterOf<float *>(p, 2));
}

// A tensor map and the address it must be of.
inline void runMapped(void **p, int64_t) {
  if (parameterOf<void *>(p, 0) != parameterOf<void *>(p, 1))
    cuda().misuse.push_back("a kernel got another tensor map");
}

inline void deviceForward(void *context, int64_t batch, int64_t length,
                          const int32_t *tokens, const int64_t *positions,
                          float *hidden) {
  void *args[] = {const_cast<int32_t *>(tokens),
                  const_cast<int64_t *>(positions),
                  hidden,
                  reinterpret_cast<void *>(length),
                  tnrt_param(context, 0),
                  tnrt_state(context, 0),
                  tnrt_state(context, 1),
                  tnrt_arena(context),
                  tnrt_constants(context)};
  tnrt_launch_device(context, kForward, batch, args);
  tnrt_launch_device(context, kForward, 0, args); // no task, no launch
  alignas(64) unsigned char map[128];
  int64_t geometry[] = {running().config.width, batch * length,
                        running().config.width * 4, 32, 64};
  tnrt_tensor_map(context, map, hidden, static_cast<int64_t>(DType::F32), 2,
                  geometry);
  void *mapArgs[] = {map, hidden};
  tnrt_launch_device(context, kMapped, 1, mapArgs);
  std::memset(map, 0, sizeof map); // the launch has read it
  tnrt_probe(context, 0, hidden, batch * length, running().config.width);
}

inline void devicePacked(void *context, int64_t rows, int64_t sequences,
                         const int32_t *tokens, const int64_t *positions,
                         const int64_t *offsets, float *hidden) {
  countPacked(rows, sequences);
  void *args[] = {const_cast<int32_t *>(tokens),
                  const_cast<int64_t *>(positions),
                  hidden,
                  const_cast<int64_t *>(offsets),
                  tnrt_param(context, 0),
                  tnrt_state(context, 0),
                  tnrt_state(context, 1),
                  tnrt_arena(context),
                  tnrt_constants(context)};
  tnrt_launch_device(context, kPacked, sequences, args);
  tnrt_probe(context, 0, hidden, rows, running().config.width);
}

// logits, settings, tokens: the likeliest, plus 1000 times where to draw.
inline void runSample(void **p, int64_t tasks) {
  const int64_t vocabulary = running().config.vocabulary;
  const auto *logits = parameterOf<const float *>(p, 0);
  const auto *settings = parameterOf<const float *>(p, 1);
  auto *tokens = parameterOf<int32_t *>(p, 2);
  for (int64_t row = 0; row < tasks; ++row) {
    const float *of = logits + row * vocabulary;
    const int64_t best = std::max_element(of, of + vocabulary) - of;
    const float *draw = settings + row * TNRT_SAMPLE_SETTINGS;
    const int64_t shift = draw[0] > 0 ? int64_t(1000 * draw[4]) : 0;
    tokens[row] = static_cast<int32_t>((best + shift) % vocabulary);
  }
}

// logits, labels, scores (tnrt/score.h).
inline void runScores(void **p, int64_t tasks) {
  const int64_t vocabulary = running().config.vocabulary;
  for (int64_t row = 0; row < tasks; ++row) {
    const float *of = parameterOf<const float *>(p, 0) + row * vocabulary;
    double sum = 0;
    for (int64_t i = 0; i < vocabulary; ++i)
      sum += std::exp(double(of[i]));
    const int32_t label = parameterOf<const int32_t *>(p, 1)[row];
    parameterOf<float *>(p, 2)[row] =
        static_cast<float>(of[label] - std::log(sum));
  }
}

inline void deviceSample(void *context, int64_t rows, const float *logits,
                         const float *settings, int32_t *tokens) {
  ++running().sampleCalls;
  running().exceeded |= rows > running().config.headRows;
  void *args[] = {const_cast<float *>(logits), const_cast<float *>(settings),
                  tokens};
  tnrt_launch_device(context, kSample, rows, args);
}

inline void deviceHead(void *context, int64_t rows, const float *hidden,
                       float *logits) {
  const Config &c = running().config;
  countHead(rows);
  const auto f32 = static_cast<int64_t>(DType::F32);
  tnrt_matmul(context, rows, c.vocabulary, c.width, /*form=*/0, f32, f32,
              const_cast<float *>(hidden), tnrt_param(context, 1), logits,
              /*c=*/nullptr);
}

inline void replaceIn(std::string &text, const std::string &from,
                      const std::string &to) {
  const size_t at = text.find(from);
  if (at == std::string::npos)
    std::abort();
  text.replace(at, from.size(), to);
}

// What module() of the GPU program points to.
struct DeviceTables {
  std::vector<uint8_t> forwardKinds = std::vector<uint8_t>(9, TNRT_PARAM_SLOT);
  std::vector<uint8_t> mappedKinds = {TNRT_PARAM_MAP, TNRT_PARAM_SLOT};
  std::vector<uint8_t> sampleKinds = std::vector<uint8_t>(3, TNRT_PARAM_SLOT);
  std::vector<tnrt_device_kernel> kernels;
};

inline DeviceTables &deviceTables() {
  static DeviceTables tables;
  return tables;
}

// A fresh fake machine.
inline Cuda &resetCuda() {
  Cuda &state = cuda();
  state = Cuda();
  state.kernels["forward"] = {runForward, std::vector<size_t>(9, 8)};
  state.kernels["mapped"] = {runMapped, {128, 8}};
  state.kernels["sample"] = {runSample, {8, 8, 8}};
  state.kernels[TNRT_SCORE_KERNEL] = {runScores, {8, 8, 8}};
  state.kernels["packed"] = {runPacked, std::vector<size_t>(9, 8)};
  cuda::libraryNames() = {{TNRT_FAKE_CUDA}, {TNRT_FAKE_CUDA}, {TNRT_FAKE_CUDA}};
  return state;
}

// Makes `config`, of two layers, the running module, as a GPU program for
// `chip`; one at a time.
inline tnrt_module &makeDeviceModule(const Config &config = {},
                                     const std::string &chip = "sm_90a") {
  makeModule(config);
  Running &instance = running();
  replaceIn(instance.manifest, R"("target": {)",
            R"("target": {"kind": "gpu", "chip": ")" + chip + R"(", )");
  replaceIn(instance.manifest,
            R"({"kind": "panels", "width": )" +
                std::to_string(config.panelWidth) + R"(, "step": 1})",
            R"({"kind": "rows"})");
  DeviceTables &tables = deviceTables();
  tables.kernels = {
      {"forward", 128, 0, 9, tables.forwardKinds.data(), 1, 1000, 100, 10, 7},
      {"mapped", 32, 100000, 2, tables.mappedKinds.data(), 1, 0, 0, 0, 0},
      {"sample", 256, 0, 3, tables.sampleKinds.data(), 0, 0, 1024, 0, 256},
      {"packed", 128, 0, 9, tables.forwardKinds.data(), 1, 1000, 100, 10, 7}};
  if (config.sampling)
    tables.kernels.push_back({TNRT_SCORE_KERNEL, 256, 0, 3,
                              tables.sampleKinds.data(), 0, 0, 0, 0, 0});
  tnrt_module &module = instance.module;
  module.manifest = instance.manifest.data();
  module.manifest_size = instance.manifest.size();
  module.prefill = prefillBy<deviceForward>;
  module.decode = decodeBy<deviceForward>;
  module.head = deviceHead;
  module.packed = devicePacked;
  module.sample = config.sampling ? deviceSample : nullptr;
  module.device_image = "\177ELF and so on";
  module.device_image_size = 16;
  module.device_kernels = tables.kernels.data();
  module.num_device_kernels = tables.kernels.size();
  module.device_constants = kFactors;
  module.device_constants_size = sizeof kFactors;
  return module;
}

} // namespace tnrt::fake

#endif // TNRT_TEST_FAKEDEVICEMODULE_H
