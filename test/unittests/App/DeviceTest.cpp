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

// The program's own kernel sums where it has one, else the runtime does; steps
// of 8 tokens, heads of 4 rows.
TEST_F(DeviceTest, ScoresOnTheDevice) {
  const std::string one = write("one", "the quick brown fox"),
                    two = write("two", "jumps over the lazy dog");
  const std::vector<std::string> command = {"score", one, two, "--json", "-q"};
  useDevice();
  auto byRuntime = nlohmann::json::parse(run(command).out);
  fake::Config config;
  config.sampling = true;
  module = fake::makeDeviceModule(config);
  fake::cuda().copiedToHost.clear();
  Outcome outcome = run(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  auto byProgram = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(byProgram["texts"].size(), 2u);
  for (size_t text = 0; text < 2; ++text) {
    const auto &ours = byProgram["texts"][text]["tokens"];
    const auto &theirs = byRuntime["texts"][text]["tokens"];
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i]["id"], theirs[i]["id"]);
      EXPECT_NEAR(ours[i]["logprob"].get<double>(),
                  theirs[i]["logprob"].get<double>(), 1e-5);
    }
  }
  // Hidden rows and scores, but no logits.
  for (int64_t bytes : fake::cuda().copiedToHost)
    EXPECT_LE(bytes, config.prefillRows * config.width * 4);
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

// The counter gains 5 mJ between two readings, which is what one run uses.
TEST_F(DeviceTest, BenchEnergy) {
  useDevice();
  const std::vector<std::string> command = {"bench", "--prompt", "10",
                                            "--gen", "5",        "--batch",
                                            "2",     "--energy", "0.001"};
  auto asJson = [&] {
    std::vector<std::string> all = command;
    all.push_back("--json");
    Outcome outcome = run(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  fake::cuda().millijoulesPerReading = 5;
  auto json = asJson();
  EXPECT_NEAR(json["prefill_joules_per_token"].get<double>(), 0.005 / 20, 1e-9);
  EXPECT_NEAR(json["decode_joules_per_token"].get<double>(), 0.005 / 10, 1e-9);
  EXPECT_FALSE(json.contains("energy_error"));
  Outcome outcome = run(command);
  EXPECT_NE(outcome.out.find("decode   0.5000 mJ per token\n"),
            std::string::npos)
      << outcome.out;

  // No counter, no library: null, and why.
  fake::cuda().millijoulesPerReading = 0;
  json = asJson();
  EXPECT_TRUE(json["prefill_joules_per_token"].is_null());
  EXPECT_TRUE(json["decode_joules_per_token"].is_null());
  EXPECT_EQ(json["energy_error"],
            "nvmlDeviceGetTotalEnergyConsumption: Not Supported");
  cuda::libraryNames().nvml = {"libno-such-nvml.so.1"};
  json = asJson();
  EXPECT_TRUE(json["decode_joules_per_token"].is_null());
  EXPECT_EQ(json["energy_error"].get<std::string>().rfind(
                "NVIDIA's management library cannot be loaded (", 0),
            0u);
  outcome = run(command);
  EXPECT_NE(outcome.out.find("energy   not measured: NVIDIA's management"),
            std::string::npos)
      << outcome.out;
  cuda::libraryNames().nvml = {"libm.so.6"};
  EXPECT_EQ(asJson()["energy_error"],
            "NVIDIA's management library (libm.so.6) lacks nvmlInit_v2, "
            "nvmlShutdown, nvmlDeviceGetHandleByPciBusId_v2, "
            "nvmlDeviceGetTotalEnergyConsumption, nvmlErrorString");
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
