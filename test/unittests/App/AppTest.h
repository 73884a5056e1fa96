// Runs commands on the fake module and collects what they print.
#ifndef TNRT_TEST_APPTEST_H
#define TNRT_TEST_APPTEST_H

#include "App.h"
#include "Runtime/FakeModule.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace tnrt::test {

struct Outcome {
  int code;
  std::string out, err;
};

class AppTest : public ::testing::Test {
protected:
  void SetUp() override {
    auto *info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::temp_directory_path() /
             (std::string("tnrt-") + info->test_suite_name() + "-" +
              info->name() + "-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    use({});
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  // Makes a module of `config`; `replace` edits the manifest's text.
  void use(const fake::Config &config, const std::string &from = "",
           const std::string &to = "") {
    module = fake::makeModule(config);
    manifest = fake::running().manifest;
    if (!from.empty()) {
      size_t at = manifest.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      manifest.replace(at, from.size(), to);
    }
    module.manifest = manifest.data();
    module.manifest_size = manifest.size();
  }

  // Nothing is captured: for tests in which the process ends.
  int runHere(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "model");
    std::vector<const char *> argv;
    for (const std::string &argument : arguments)
      argv.push_back(argument.c_str());
    return runApp(static_cast<int>(argv.size()), argv.data(), module);
  }

  Outcome run(std::vector<std::string> arguments) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    int code = runHere(std::move(arguments));
    Outcome outcome{code, ::testing::internal::GetCapturedStdout(), ""};
    outcome.err = ::testing::internal::GetCapturedStderr();
    return outcome;
  }

  // Expects exit code 2, exactly one line on stderr that holds `words`, and
  // nothing on stdout.
  void expectBadInput(std::vector<std::string> arguments,
                      const std::vector<std::string> &words) {
    std::string command;
    for (const std::string &argument : arguments)
      command += argument + " ";
    SCOPED_TRACE(command);
    Outcome outcome = run(std::move(arguments));
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1)
        << outcome.err;
    EXPECT_EQ(outcome.err.rfind("model: ", 0), 0u) << outcome.err;
    for (const std::string &word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos)
          << "'" << word << "' is not in: " << outcome.err;
  }

  std::string path(const std::string &name) const {
    return (folder / name).string();
  }

  std::string write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

  static std::string read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  // Number of files in the test's folder: temporaries must not stay.
  int64_t fileCount() const {
    auto begin = std::filesystem::directory_iterator(folder);
    return std::distance(begin, std::filesystem::directory_iterator());
  }

  std::filesystem::path folder;
  std::string manifest;
  tnrt_module module{};
};

} // namespace tnrt::test

#endif // TNRT_TEST_APPTEST_H
