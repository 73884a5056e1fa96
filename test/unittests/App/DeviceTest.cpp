// The command line of GPU programs, on a fake driver.
#include "AppTest.h"
#include "Runtime/FakeDeviceModule.h"

#include <nlohmann/json.hpp>

namespace tnrt::test {
namespace {

class DeviceTest : public AppTest {
protected:
  void SetUp() override {
    AppTest::SetUp();
    fake::resetCuda();
  }
  void TearDown() override {
    EXPECT_EQ(fake::cuda().misuse, std::vector<std::string>());
    EXPECT_EQ(fake::cuda().heldInAll(), 0);
    AppTest::TearDown();
  }

  void useDevice() { module = fake::makeDeviceModule(); }
};

TEST_F(DeviceTest, CpuProgramsHaveNoDevice) {
  expectBadInput({"generate", "-p", "a", "--device", "0"},
                 {"--device 0: this program is compiled for the CPU "
                  "(x86-64-v4)"});
  expectBadInput({"bench", "--kernels"}, {"compiled for the CPU"});
}

TEST_F(DeviceTest, BadDeviceNumbers) {
  useDevice();
  expectBadInput({"generate", "-p", "a", "--device", "2"},
                 {"there is no device 2"});
  expectBadInput({"score", "--device", "x", "f"}, {"--device", "expected"});
}

TEST_F(DeviceTest, GeneratesWhatTheCpuProgramGenerates) {
  const std::vector<std::string> command = {
      "generate", "-p",     "ab",  "-p",     "xyz", "-n",
      "20",       "--temp", "0.9", "--seed", "5",   "-q"};
  Outcome onCpu = run(command);
  ASSERT_EQ(onCpu.code, 0) << onCpu.err;
  useDevice();
  Outcome onGpu = run(command);
  EXPECT_EQ(onGpu.code, 0) << onGpu.err;
  EXPECT_EQ(onGpu.out, onCpu.out);
}

TEST_F(DeviceTest, StateFilesGoBothWays) {
  auto start = [&](const std::string &file) {
    return run({"generate", "-p", "ab", "-n", "5", "--seed", "5", "-q",
                "--save-state", path(file)});
  };
  auto resume = [&](const std::string &file) {
    Outcome outcome =
        run({"generate", "-n", "9", "-q", "--load-state", path(file)});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  };
  Outcome onCpu = start("cpu");
  ASSERT_EQ(onCpu.code, 0) << onCpu.err;
  useDevice();
  Outcome onGpu = start("gpu");
  ASSERT_EQ(onGpu.code, 0) << onGpu.err;
  EXPECT_EQ(onGpu.out, onCpu.out);
  EXPECT_EQ(read(path("gpu")), read(path("cpu")));
  const std::string rest = resume("cpu");
  use({});
  EXPECT_EQ(resume("gpu"), rest);
}

TEST_F(DeviceTest, InfoShowsTheDevice) {
  useDevice();
  Outcome outcome = run({"info"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("target        NVIDIA GPU, sm_90a; host x86_64"),
            std::string::npos)
      << outcome.out;
  EXPECT_NE(outcome.out.find("device 0      Fake H100, sm_90, 1.0 GiB, 1.0 GiB "
                             "free\n"),
            std::string::npos)
      << outcome.out;
  auto json = nlohmann::json::parse(run({"info", "--json"}).out);
  EXPECT_EQ(json["device"], "Fake H100, sm_90, 1.0 GiB, 1.0 GiB free");
}

TEST_F(DeviceTest, InfoWorksWithoutAGpu) {
  useDevice();
  cuda::libraryNames().driver = {"libno-such-driver.so.1"};
  Outcome outcome = run({"info"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("device 0      none: this program runs on an "
                             "NVIDIA GPU, and NVIDIA's driver cannot be "
                             "loaded"),
            std::string::npos)
      << outcome.out;
  auto json = nlohmann::json::parse(run({"info", "--json"}).out);
  EXPECT_TRUE(json["device"].is_null());
  EXPECT_EQ(json["target"]["chip"], "sm_90a");
  EXPECT_NE(json["device_error"].get<std::string>().find("driver"),
            std::string::npos);
  expectBadInput({"generate", "-p", "a"}, {"driver cannot be loaded"});
  expectBadInput({"bench"}, {"driver cannot be loaded"});
}

TEST_F(DeviceTest, Bench) {
  useDevice();
  Outcome outcome =
      run({"bench", "--prompt", "9", "--gen", "4", "--batch", "2", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["device"], "Fake H100");
  EXPECT_GT(json["device_memory_bytes"].get<int64_t>(), 32 << 20);
  // The head's matrix and two states of two sequences; of the embedding a row.
  EXPECT_EQ(json["decode_bytes_per_step"], 4096 * 4 + 2 * 2 * 12 * 4);
}

TEST_F(DeviceTest, BenchKernels) {
  useDevice();
  Outcome outcome =
      run({"bench", "--kernels", "--prompt", "20", "--batch", "2", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  auto json = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(json.size(), 6u);
  EXPECT_EQ(json[0]["phase"], "prefill");
  EXPECT_EQ(json[0]["kernel"], "forward");
  EXPECT_EQ(json[0]["launches"], 1);
  EXPECT_EQ(json[0]["bytes"], 1000 + 8 * 100 + 10);
  EXPECT_EQ(json[0]["flops"], 8 * 7);
  EXPECT_FALSE(json[0].contains("percent_of_copy")) << "not measured";
  EXPECT_EQ(json[2]["kernel"], "matmul 4x256x16") << "what the head takes";
  EXPECT_EQ(json[3]["phase"], "decode");
  EXPECT_EQ(json[5]["flops"], 2 * 2 * 256 * 16);

  outcome = run({"bench", "--kernels", "--gen", "0"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.rfind("prefill of 1 x 8 tokens, head included: ", 0),
            0u)
      << outcome.out;
  EXPECT_NE(outcome.out.find("1 x  33.3 %  matmul 4x256x16, "),
            std::string::npos)
      << outcome.out;
}

} // namespace
} // namespace tnrt::test
