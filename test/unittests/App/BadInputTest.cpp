// Bad input gives one clear line and exit code 2.
#include "AppTest.h"

#include "Files.h"

#include <fcntl.h>
#include <limits>
#include <unistd.h>

namespace tnrt::test {
namespace {

class BadInputTest : public AppTest {
protected:
  // Runs with standard output going to `descriptor`.
  Outcome runInto(int descriptor, std::vector<std::string> arguments) {
    std::fflush(stdout);
    int saved = ::dup(1);
    arguments.insert(arguments.begin(), "model");
    std::vector<const char *> argv;
    for (const std::string &argument : arguments)
      argv.push_back(argument.c_str());
    ::testing::internal::CaptureStderr();
    ::dup2(descriptor, 1);
    int code = runApp(static_cast<int>(argv.size()), argv.data(), module);
    ::dup2(saved, 1);
    ::close(saved);
    Outcome outcome{code, "", ""};
    outcome.err = ::testing::internal::GetCapturedStderr();
    return outcome;
  }
};

TEST_F(BadInputTest, Usage) {
  expectBadInput({}, {"no command given: expected info, generate, score, run, "
                      "bench, tokenize or detokenize",
                      "model --help"});
  expectBadInput({"fly"}, {"unknown command \"fly\": expected info, generate"});
  expectBadInput({"--fly", "info"}, {"unknown option \"--fly\""});
  expectBadInput({"info", "extra"},
                 {"unexpected argument \"extra\"", "model info --help"});
  expectBadInput({"generate"}, {"prompt", "--load-state"});
  expectBadInput({"generate", "-p"}, {"--prompt has no value: expected a text",
                                      "model generate --help"});
  expectBadInput({"generate", "-p", "a", "-n"},
                 {"--tokens has no value: expected an integer"});
  expectBadInput({"generate", "-p", "a", "-n", "1.5"},
                 {"--tokens: expected an integer from -1 to 1000000000, found "
                  "\"1.5\""});
  expectBadInput({"generate", "-p", "a", "-n", "1", "-n", "2"},
                 {"--tokens is given 2 times: expected once"});
  expectBadInput({"generate", "-p", "a", "--temp"},
                 {"--temp has no value: expected a number"});
  expectBadInput({"score"}, {"FILE is missing: expected text in UTF-8"});
  expectBadInput({"score", ""}, {"the file name is empty"});
  expectBadInput({"run"}, {"--input FILE is missing: expected input_ids"});
  expectBadInput({"run", "--input", "a"}, {"--output FILE is missing"});
  expectBadInput({"run", "--input", "a", "--output", "b", "--only", "colour"},
                 {"expected logits, hidden or state, found \"colour\""});
  expectBadInput({"run", "--only"},
                 {"--only has no value: expected logits, hidden or state"});
  expectBadInput({"generate", "--json=maybe"},
                 {"--json: expected no value, found \"maybe\""});
  expectBadInput({"--threads", "0", "info"}, {"--threads", "1 to 4096"});
  expectBadInput({"--threads", "two", "info"}, {"two"});
  expectBadInput({"bench", "--batch", "0"}, {"--batch"});
  expectBadInput({"bench", "--gen", "-1"}, {"--gen"});
  expectBadInput({"bench", "--gen", "0", "--prompt", "0"},
                 {"nothing to measure"});
}

TEST_F(BadInputTest, SamplingOptions) {
  for (auto [option, value] : std::vector<std::pair<std::string, std::string>>{
           {"--temp", "-1"},
           {"--temp", "nan"},
           {"--temp", "hot"},
           {"--temp", "inf"},
           {"--top-k", "-1"},
           {"--top-k", "1.5"},
           {"--top-p", "1.1"},
           {"--top-p", "-0.1"},
           {"--min-p", "2"},
           {"--repeat-penalty", "0"},
           {"--repeat-penalty", "-1"},
           {"--repeat-last-n", "-1"},
           {"--repeat-last-n", "99999999"},
           {"--seed", "x"},
           {"--seed", "-2"},
           {"-n", "-2"},
           {"-n", "many"},
           {"--eos", "256"},
           {"--eos", "-7"},
           {"--eos", "1.5"},
           {"--eos", "x"}})
    expectBadInput({"generate", "-p", "a", option, value},
                   {option.substr(1), value});
  expectBadInput({"generate", "-p", "a", "--stop", ""}, {"--stop"});
  expectBadInput({"generate", "-p", "a", "--stop", "\xFF"},
                 {"--stop", "UTF-8"});
}

TEST_F(BadInputTest, Texts) {
  expectBadInput({"generate", "-p", "fine", "-p", "b\xFF"},
                 {"prompt 2", "UTF-8", "offset 1"});
  expectBadInput({"generate", "--prompt-file", write("bad", "ab\xC3")},
                 {path("bad") + ": expected", "offset 2"});
  expectBadInput({"generate", "-p", "a", "--prompt-file", write("no", "")},
                 {path("no") + " is empty"});
  for (const char *device : {"/dev/zero", "/dev/full", "/dev/null"})
    expectBadInput({"score", device}, {device, "is a device"});
  expectBadInput({"generate", "--prompt-file", path("none")},
                 {path("none"), "No such file"});
  expectBadInput({"generate", "--prompt-file", folder.string()},
                 {folder.string()});
  expectBadInput({"score", write("bad2", "abc\xED\xA0\x80")},
                 {path("bad2"), "UTF-8", "offset 3"});
  expectBadInput({"score", path("none")}, {path("none")});
  expectBadInput({"score", write("empty", "")},
                 {path("empty"), "at least 2 tokens"});
  expectBadInput({"score", write("one", "x")},
                 {path("one"), "at least 2 tokens"});
}

// A file of holes: nothing of it is read.
TEST_F(BadInputTest, TextsBeyondTheLimit) {
  write("huge", "");
  std::filesystem::resize_file(path("huge"), kMaxInputBytes + 1);
  expectBadInput({"score", path("huge")}, {path("huge"), "1 GiB"});
}

TEST_F(BadInputTest, ByteOutsideASmallVocabulary) {
  fake::Config config;
  config.vocabulary = 100;
  use(config);
  expectBadInput({"generate", "-p", "abz"}, {"byte 122 at offset 2", "100"});
  expectBadInput({"score", write("text", "abz")}, {"byte 122"});
}

// On a GPU the rows of all sequences choose the kernels, so bits depend on the
// batch: what --deterministic asks for is refused, not ignored.
TEST_F(BadInputTest, DeterministicIsOfCpus) {
  EXPECT_EQ(run({"--deterministic", "info"}).code, 0);
  use({}, R"("target": {)", R"("target": {"kind": "gpu", "chip": "sm_90a", )");
  expectBadInput({"info", "--deterministic"},
                 {"--deterministic: this program computes on a GPU",
                  "the size of the batch chooses the kernels", "--target=cpu"});
}

TEST_F(BadInputTest, ManifestAndMachine) {
  fake::Config config;
  config.required = R"("a-feature-from-2090")";
  use(config);
  expectBadInput({"-q", "generate", "-p", "a"}, {"a-feature-from-2090"});
  use({});
  module.abi_version = 99;
  expectBadInput({"info"}, {"ABI version 99", "compile the model again"});
  use({});
  module.manifest = "{";
  module.manifest_size = 1;
  expectBadInput({"info"}, {"manifest"});
  use({});
  expectBadInput({"-q", "--weights", path("none"), "generate", "-p", "a"},
                 {path("none")});
}

TEST_F(BadInputTest, FullStandardOutput) {
  int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  for (std::vector<std::string> arguments :
       std::vector<std::vector<std::string>>{
           {"info"},
           {"-q", "generate", "-p", "a"},
           {"-q", "generate", "-p", "a", "--json"},
           {"-q", "score", write("t", "text")},
           {"tokenize", "a"},
           {"--help"}}) {
    Outcome outcome = runInto(full, arguments);
    EXPECT_EQ(outcome.code, 2) << arguments[0];
    EXPECT_NE(outcome.err.find("standard output: No space left"),
              std::string::npos)
        << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  }
  ::close(full);
}

TEST_F(BadInputTest, ClosedPipeIsQuietAndSavesTheState) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  Outcome outcome = runInto(ends[1], {"-q", "generate", "-p", "a", "-n", "-1",
                                      "--save-state", path("s")});
  EXPECT_EQ(outcome.code, 141);
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(std::filesystem::exists(path("s")));
  ::close(ends[1]);
}

} // namespace
} // namespace tnrt::test
