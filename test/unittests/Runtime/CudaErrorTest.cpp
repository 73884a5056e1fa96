// What is said when a GPU program cannot run, and that nothing is left behind.
#include "core/Session.h"
#include "cuda/BlasLt.h"
#include "cuda/Kernels.h"

#include "FakeCuda.h"
#include "TestFiles.h"

// FakeDeviceModule.h belongs to CudaSessionTest.cpp; its functions are inline.
#include "FakeDeviceModule.h"

using namespace tnrt;
using namespace tnrt::test;

namespace {

class CudaErrorTest : public ::testing::Test {
protected:
  void SetUp() override { state = &fake::resetCuda(); }
  void TearDown() override {
    EXPECT_EQ(state->misuse, std::vector<std::string>());
    EXPECT_EQ(state->heldInAll(), 0);
  }

  static std::string loadError(const tnrt_module &module, int device = 0,
                               int64_t batch = 1) {
    LoadOptions options{"", 2, false};
    options.device = device;
    options.batch = batch;
    auto model = Model::load(module, options);
    return model ? "" : model.message();
  }

  fake::Cuda *state = nullptr;
};

TEST_F(CudaErrorTest, NoDriver) {
  cuda::libraryNames().driver = {"libno-such-driver.so.1"};
  const std::string error = loadError(fake::makeDeviceModule());
  EXPECT_TRUE(contains(error, "this program runs on an NVIDIA GPU, and "
                              "NVIDIA's driver cannot be loaded "
                              "(libno-such-driver.so.1: cannot open"))
      << error;
}

// A library that is none: every symbol it lacks is named.
TEST_F(CudaErrorTest, OldDriver) {
  cuda::libraryNames().driver = {"libm.so.6"};
  const std::string error = loadError(fake::makeDeviceModule());
  EXPECT_TRUE(contains(error, "NVIDIA's driver (libm.so.6) is too old: it "
                              "lacks cuGetErrorName, "))
      << error;
  EXPECT_TRUE(contains(error, "cuTensorMapEncodeTiled, expected CUDA 12.0"))
      << error;
}

TEST_F(CudaErrorTest, NoGpu) {
  state->devices = 0;
  EXPECT_EQ(loadError(fake::makeDeviceModule()),
            "NVIDIA's driver finds no GPU, and this program runs on one");
}

TEST_F(CudaErrorTest, NoSuchDevice) {
  EXPECT_EQ(loadError(fake::makeDeviceModule(), 1),
            "there is no device 1: this machine has one GPU, device 0");
  state->devices = 4;
  EXPECT_EQ(loadError(fake::makeDeviceModule(), 4),
            "there is no device 4: this machine has 4 GPUs, devices 0 to 3");
  EXPECT_EQ(loadError(fake::makeDeviceModule(), 3), "");
}

TEST_F(CudaErrorTest, OtherChip) {
  state->name = "NVIDIA A100";
  state->capability = 80;
  EXPECT_EQ(loadError(fake::makeDeviceModule()),
            "compiled for sm_90a; device 0 is NVIDIA A100, sm_80; compile with "
            "--target=sm_80");
  EXPECT_EQ(loadError(fake::makeDeviceModule({}, "sm_80")), "");
  state->capability = 86; // a cubin runs on newer GPUs of its generation
  EXPECT_EQ(loadError(fake::makeDeviceModule({}, "sm_80")), "");
  state->capability = 90;
  EXPECT_TRUE(contains(loadError(fake::makeDeviceModule({}, "sm_80")),
                       "sm_90; compile with --target=sm_90a"));
  // The driver compiles PTX for any newer GPU, but not that of sm_90a.
  tnrt_module &ptx = fake::makeDeviceModule({}, "sm_80");
  ptx.device_image = ".version 8.6";
  EXPECT_EQ(loadError(ptx), "");
  state->capability = 100;
  tnrt_module &exact = fake::makeDeviceModule();
  exact.device_image = ".version 8.6";
  EXPECT_TRUE(contains(loadError(exact), "compile with --target=sm_100a"));
}

TEST_F(CudaErrorTest, NoImage) {
  tnrt_module &module = fake::makeDeviceModule();
  module.device_image = nullptr;
  EXPECT_TRUE(contains(loadError(module), "it carries no GPU code"));
}

TEST_F(CudaErrorTest, ImageThatTheDriverRefuses) {
  state->loadLog = "ptxas fatal: unsupported version\nmore";
  EXPECT_EQ(loadError(fake::makeDeviceModule()),
            "cannot load the program's GPU code: cuModuleLoadDataEx: "
            "CUDA_ERROR_NO_BINARY_FOR_GPU (unknown error): ptxas fatal: "
            "unsupported version");
}

TEST_F(CudaErrorTest, KernelsThatDoNotFit) {
  state->kernels.erase("mapped");
  EXPECT_EQ(loadError(fake::makeDeviceModule()),
            "kernel 'mapped': cuModuleGetFunction: CUDA_ERROR_NOT_FOUND "
            "(named symbol not found)");
  fake::resetCuda();
  state->kernels["forward"].maxThreads = 64;
  EXPECT_EQ(loadError(fake::makeDeviceModule()),
            "kernel 'forward': has blocks of 128 threads, expected 1 to 64 on "
            "this GPU");
  fake::resetCuda();
  state->kernels["mapped"].staticSharedBytes = 1000;
  state->sharedBytesOfBlock = 100999;
  EXPECT_EQ(loadError(fake::makeDeviceModule()),
            "kernel 'mapped': needs 101000 bytes of shared memory, this GPU's "
            "blocks have 100999");
}

TEST_F(CudaErrorTest, TooLittleMemory) {
  state->totalBytes = 33 << 20;
  EXPECT_EQ(loadError(fake::makeDeviceModule()), "");
  // Of more sequences than fit, before anything is allocated.
  const int64_t before = state->count["cuMemAlloc"];
  EXPECT_EQ(loadError(fake::makeDeviceModule(), 0, 20000),
            "needs 33.9 MiB on device 0, 33.0 MiB are free (Fake H100, 33.0 "
            "MiB)");
  EXPECT_EQ(state->count["cuMemAlloc"], before);
  // And of a session that nobody announced.
  auto model = Model::load(fake::makeDeviceModule(), {"", 2, false});
  ASSERT_TRUE(model);
  auto session = Session::create(**model, 1000000);
  ASSERT_FALSE(session);
  EXPECT_TRUE(contains(session.message(), "1000000 sequences: needs 91.6 MiB "
                                          "on device 0, 1.0 MiB are free"))
      << session.message();
}

TEST_F(CudaErrorTest, AFailedKernelIsReportedByTheStep) {
  auto model = Model::load(fake::makeDeviceModule(), {"", 2, false});
  ASSERT_TRUE(model);
  auto session = Session::create(**model, 1);
  ASSERT_TRUE(session);
  const int32_t tokens[] = {1, 2, 3};
  // The wait after a copy, two launches and a tensor map.
  state->failAt = state->calls + 5;
  Status status = (*session)->forward(tokens, 3, nullptr);
  EXPECT_EQ(state->failedCall, "cuStreamSynchronize");
  EXPECT_EQ(status.message(),
            "a step failed on device 0: cuStreamSynchronize: "
            "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was "
            "encountered)");
  EXPECT_EQ((*session)->positions(), std::vector<int64_t>{0});
  state->failAt = 0;
}

// A program that multiplies nothing needs no library; a product says what
// lacks.
TEST_F(CudaErrorTest, MissingCublasLt) {
  auto product = [](const std::string &library) -> std::string {
    cuda::libraryNames().cublasLt = {library};
    auto model = Model::load(fake::makeDeviceModule(), {"", 2, false});
    if (!model)
      return "not loaded: " + model.message();
    auto session = Session::create(**model, 1);
    const int32_t token = 1;
    if (!session || !(*session)->forward(&token, 1, nullptr))
      return "no step";
    std::vector<float> hidden(16), logits(256);
    return (*session)->logits(hidden.data(), 1, logits.data()).message();
  };
  std::string error = product("libno-such-blas.so");
  EXPECT_TRUE(contains(error, "multiplies matrices with cuBLASLt")) << error;
  EXPECT_TRUE(contains(error, "set LD_LIBRARY_PATH")) << error;
  error = product("libm.so.6");
  EXPECT_TRUE(contains(error, "libm.so.6 lacks cublasLtCreate, ")) << error;
}

// Everything a program does, with each call of the driver failing in turn: one
// clear line, no misuse, nothing held afterwards.
Status runEverything() {
  fake::Config config;
  config.sampling = true;
  auto model = Model::load(fake::makeDeviceModule(config), {"", 1, false});
  if (!model)
    return model.takeError();
  auto made = Session::create(**model, 2);
  if (!made)
    return made.takeError();
  Session &session = **made;
  const int32_t tokens[] = {1, 2, 3, 4, 5, 6};
  std::vector<float> hidden(6 * 16), logits(2 * 256), state(12);
  auto observer = [](int64_t, const float *, int64_t, int64_t, int64_t, int64_t,
                     int64_t) {};
  if (Status status = session.forward(tokens, 3, hidden.data(), observer);
      !status)
    return status;
  if (Status status = session.logits(hidden.data(), 2, logits.data()); !status)
    return status;
  for (int i = 0; i < 3; ++i)
    if (auto decoded = session.decode(tokens); !decoded)
      return decoded.takeError();
  if (auto last = session.forwardRowToLogits(1, tokens, 3); !last)
    return last.takeError();
  const std::vector<Draw> draws(2);
  for (int i = 0; i < 3; ++i)
    if (auto chosen = session.decodeToTokens(tokens, draws.data()); !chosen)
      return chosen.takeError();
  if (auto last = session.forwardRowToToken(1, tokens, 3, draws[0]); !last)
    return last.takeError();
  if (Status status = session.readState(0, 1, state.data()); !status)
    return status;
  if (Status status = session.writeState(0, 1, state.data()); !status)
    return status;
  auto times = session.profile(2, 1, 2);
  if (!times)
    return times.takeError();
  return {};
}

TEST_F(CudaErrorTest, AnyCallMayFail) {
  ASSERT_TRUE(runEverything());
  // The last call is the session's wait before it releases its memory, which
  // has nobody to report to.
  const int64_t calls = state->calls - 1;
  ASSERT_GT(calls, 100);
  for (int64_t n = 1; n <= calls; ++n) {
    fake::resetCuda();
    state->failAt = n;
    Status status = runEverything();
    const std::string call = state->failedCall;
    ASSERT_FALSE(status) << call;
    EXPECT_TRUE(contains(status.message(), call + ": CU")) << status.message();
    EXPECT_EQ(state->misuse, std::vector<std::string>()) << call;
    for (const auto &[kind, count] : state->held)
      EXPECT_EQ(count, 0) << kind << " after a failed " << call;
  }
}

TEST_F(CudaErrorTest, UnsupportedProducts) {
  auto device = cuda::Device::open(0);
  ASSERT_TRUE(device);
  auto matmul = cuda::Matmul::create(*device);
  ASSERT_TRUE(matmul) << matmul.message();
  const auto f32 = int64_t(DType::F32), f16 = int64_t(DType::F16);
  EXPECT_EQ((*matmul)
                ->run({2, 3, 4, 0, f16, f32, nullptr, nullptr, nullptr}, nullptr)
                .message(),
            "matrix product 2 x 3 x 4: the types are 2 and 1, expected F32 or "
            "BF16");
  EXPECT_EQ((*matmul)
                ->run({0, 3, 4, 0, f32, f32, nullptr, nullptr, nullptr}, nullptr)
                .message(),
            "matrix product 0 x 3 x 4: expected sizes of at least 1");
}

// bf16 in, either type out.
TEST_F(CudaErrorTest, ProductsOfBrainFloats) {
  auto device = cuda::Device::open(0);
  ASSERT_TRUE(device);
  auto matmul = cuda::Matmul::create(*device);
  ASSERT_TRUE(matmul);
  auto stream = cuda::createStream(*device);
  ASSERT_TRUE(stream);
  auto bf16 = [](float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return static_cast<uint16_t>(bits >> 16);
  };
  const std::vector<uint16_t> x = {bf16(1), bf16(2), bf16(3), bf16(4)};
  const std::vector<uint16_t> w = {bf16(1),  bf16(0), bf16(0),
                                   bf16(-1), bf16(2), bf16(2)};
  const auto in = int64_t(DType::BF16), f32 = int64_t(DType::F32);
  // y[2, 3] = x[2, 2] w[3, 2]^T
  std::vector<float> y(6);
  ASSERT_TRUE((*matmul)->run({2, 3, 2, 0, in, f32, x.data(), w.data(), y.data()},
                             stream->get()));
  std::vector<uint16_t> half(6);
  ASSERT_TRUE((*matmul)->run({2, 3, 2, 0, in, in, x.data(), w.data(), half.data()},
                             stream->get()));
  ASSERT_EQ((*device)->driver().cuStreamSynchronize(stream->get()), 0);
  EXPECT_EQ(y, (std::vector<float>{1, -2, 6, 3, -4, 14}));
  // Plus another matrix, and plus what is there.
  std::vector<float> c = {10, 20, 30, 40, 50, 60}, sum(6);
  ASSERT_TRUE((*matmul)->run({2, 3, 2, TNRT_MATMUL_ACCUMULATE, in, f32,
                              x.data(), w.data(), sum.data(), c.data()},
                             stream->get()));
  ASSERT_TRUE((*matmul)->run({2, 3, 2, TNRT_MATMUL_ACCUMULATE, in, f32,
                              x.data(), w.data(), c.data()},
                             stream->get()));
  ASSERT_EQ((*device)->driver().cuStreamSynchronize(stream->get()), 0);
  EXPECT_EQ(sum, (std::vector<float>{11, 18, 36, 43, 46, 74}));
  EXPECT_EQ(c, sum);
  for (size_t i = 0; i < 6; ++i)
    EXPECT_EQ(half[i], bf16(y[i]));
}

TEST_F(CudaErrorTest, LaunchesThatCannotBe) {
  auto device = cuda::Device::open(0);
  ASSERT_TRUE(device);
  auto stream = cuda::createStream(*device);
  ASSERT_TRUE(stream);
  auto kernels = cuda::Kernels::load(*device, fake::makeDeviceModule());
  ASSERT_TRUE(kernels) << kernels.message();
  void *args[9] = {};
  EXPECT_EQ((*kernels)->launch(4, 1, args, stream->get()).message(),
            "there is no kernel 4, the program has 4");
  EXPECT_EQ((*kernels)->launch(-1, 1, args, stream->get()).message(),
            "there is no kernel -1, the program has 4");
  EXPECT_EQ(
      (*kernels)->launch(0, int64_t(1) << 31, args, stream->get()).message(),
      "kernel 'forward': 2147483648 tasks, expected at most 2147483647");
  EXPECT_TRUE((*kernels)->launch(0, 0, args, stream->get()));
  EXPECT_EQ(state->count["cuLaunchKernelEx"], 0);
}

} // namespace
