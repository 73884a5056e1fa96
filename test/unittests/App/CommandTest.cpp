// info, score and bench, help and version.
#include "AppTest.h"

#include "LogProb.h"
#include "Text.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace tnrt::test {
namespace {

using Json = nlohmann::json;

class CommandTest : public AppTest {
protected:
  Json json(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "-q");
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    Json json = Json::parse(outcome.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << outcome.out;
    return json;
  }
};

TEST(LogProbTest, IsTheLogarithmOfTheSoftmax) {
  const float logits[] = {0, std::log(2.0f), std::log(5.0f)};
  EXPECT_NEAR(logProbability(logits, 3, 2), std::log(5.0 / 8), 1e-7);
  const float large[] = {1e30f, -1e30f};
  EXPECT_EQ(logProbability(large, 2, 0), 0);
}

TEST(FormatTest, Numbers) {
  EXPECT_EQ(groupDigits(0), "0");
  EXPECT_EQ(groupDigits(999), "999");
  EXPECT_EQ(groupDigits(1000), "1,000");
  EXPECT_EQ(groupDigits(-1234567), "-1,234,567");
  EXPECT_EQ(groupDigits(-123), "-123");
  EXPECT_EQ(formatBytes(12), "12 B");
  EXPECT_EQ(formatBytes(1540), "1.5 kB");
  EXPECT_EQ(formatBytes(2.5e11), "250 GB");
}

TEST_F(CommandTest, InfoSaysWhatWasCompiled) {
  Outcome outcome = run({"info"});
  EXPECT_EQ(outcome.code, 0);
  for (const char *word :
       {"fake: 2 layers, width 16", "8,192", "x86-64-v4",
        "00112233445566778899aabbccddeeff", "random, seed 7", "bytes",
        "96 bytes per sequence", "CPU x86-64-v4", "f32, state f32"})
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << "\n"
                                                         << outcome.out;
  Json info = json({"info", "--json"});
  EXPECT_EQ(info["fingerprint"], "00112233445566778899aabbccddeeff");
  EXPECT_EQ(info["parameter_count"], 8192);
  EXPECT_EQ(info["parameter_bytes"], 32768);
  EXPECT_EQ(info["state_bytes"], 96);
}

TEST_F(CommandTest, InfoDoesNotNeedTheWeights) {
  fake::Config config;
  config.weights =
      R"({"kind": "link", "path": "/nonexistent/model.safetensors"})";
  use(config);
  EXPECT_EQ(run({"info"}).code, 0);
  EXPECT_EQ(run({"info", "--json"}).code, 0);
  expectBadInput({"generate", "-p", "a"}, {"/nonexistent/model.safetensors"});
}

TEST_F(CommandTest, ExamplesQuoteTheProgram) {
  EXPECT_EQ(shellQuote("tiny-1.5b"), "tiny-1.5b");
  EXPECT_EQ(shellQuote(""), "''");
  EXPECT_EQ(shellQuote("it's"), "'it'\\''s'");
  const char *argv[] = {"/tmp/my model", "info", "--help"};
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(runApp(3, argv, module), 0);
  std::string help = ::testing::internal::GetCapturedStdout();
  EXPECT_NE(help.find("Example: 'my model' info"), std::string::npos) << help;
}

TEST_F(CommandTest, HelpAndVersion) {
  Outcome help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char *command : {"info", "generate", "score", "run", "bench",
                              "tokenize", "detokenize"}) {
    EXPECT_NE(help.out.find(command), std::string::npos);
    Outcome one = run({command, "--help"});
    EXPECT_EQ(one.code, 0);
    EXPECT_NE(one.out.find(std::string("Usage: model ") + command),
              std::string::npos)
        << one.out;
    EXPECT_NE(one.out.find(std::string("Example: model ") + command),
              std::string::npos)
        << one.out;
  }
  Outcome version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_NE(version.out.find("fake"), std::string::npos);
  EXPECT_NE(version.out.find("\ncommit "), std::string::npos);
  EXPECT_NE(version.out.find("sentencepiece 0."), std::string::npos);
  EXPECT_NE(version.out.find("glibc 2."), std::string::npos);
}

// The text's probability through `score` is that through `run`'s arithmetic:
// each slab boundary is crossed (8 rows a step, 4 a head).
TEST_F(CommandTest, ScoreAddsUp) {
  std::string text = "The quick brown fox jumps over the lazy dog. 0123456789";
  Json score = json({"score", write("text", text), "--json"});
  ASSERT_EQ(score["tokens"].size(), text.size() - 1);
  double sum = 0;
  for (size_t i = 0; i < score["tokens"].size(); ++i) {
    const Json &token = score["tokens"][i];
    EXPECT_EQ(token["index"], i + 1);
    EXPECT_EQ(token["id"], static_cast<int>(text[i + 1]));
    EXPECT_LT(token["logprob"].get<double>(), 0);
    sum += token["logprob"].get<double>();
  }
  auto count = static_cast<double>(text.size() - 1);
  EXPECT_NEAR(score["logprob"].get<double>(), sum, 1e-9);
  EXPECT_NEAR(score["perplexity"].get<double>(), std::exp(-sum / count), 1e-9);
  EXPECT_NEAR(score["bits_per_byte"].get<double>(),
              -sum / std::log(2.0) / count, 1e-9);
  EXPECT_EQ(score["token_count"], text.size() - 1);

  Json summary = json({"score", path("text"), "--json", "--summary"});
  EXPECT_EQ(summary["logprob"], score["logprob"]);
  EXPECT_FALSE(summary.contains("tokens"));
  EXPECT_FALSE(fake::running().exceeded);
}

// Texts packed together, over several groups, are scored as each alone.
TEST_F(CommandTest, ScoresSeveralTexts) {
  std::vector<std::string> command = {"score", "--json"};
  std::vector<Json> alone;
  double sum = 0;
  for (int i = 0; i < 9; ++i) {
    const std::string file =
        write("t" + std::to_string(i),
              std::string(size_t(2 + 5 * i % 13), char('a' + i)));
    alone.push_back(json({"score", file, "--json"}));
    sum += alone.back()["logprob"].get<double>();
    command.push_back(file);
  }
  Json several = json(command);
  EXPECT_GT(fake::running().packedCalls, 0);
  ASSERT_EQ(several["texts"].size(), alone.size());
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_EQ(several["texts"][i]["file"], command[i + 2]);
    EXPECT_EQ(several["texts"][i]["tokens"], alone[i]["tokens"]);
    EXPECT_EQ(several["texts"][i]["perplexity"], alone[i]["perplexity"]);
  }
  EXPECT_NEAR(several["logprob"].get<double>(), sum, 1e-9);
  EXPECT_FALSE(fake::running().exceeded);

  command[1] = "--summary";
  Outcome lines = run(command);
  EXPECT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 10)
      << lines.out;
  EXPECT_NE(lines.out.find("  " + command[4] + "\n"), std::string::npos);
  EXPECT_NE(lines.out.find("  in 9 texts\n"), std::string::npos);
}

TEST_F(CommandTest, ScoreIsCausal) {
  Json a = json({"score", write("a", "hello world"), "--json"});
  Json b = json({"score", write("b", "hello there"), "--json"});
  for (size_t i = 0; i < 5; ++i) // up to the blank
    EXPECT_EQ(a["tokens"][i], b["tokens"][i]);
  EXPECT_NE(a["logprob"], b["logprob"]);
}

TEST_F(CommandTest, ScoreFromBosScoresEveryToken) {
  use({}, R"("add_bos_token": false)", R"("add_bos_token": true)");
  Json score = json({"score", write("a", "h"), "--json"});
  EXPECT_EQ(score["token_count"], 1);
  EXPECT_EQ(score["byte_count"], 1);
}

TEST_F(CommandTest, ScoreOfBrokenWeights) {
  module.head = [](void *, int64_t rows, const float *, float *logits) {
    std::fill_n(logits, rows * 256, std::nanf(""));
  };
  Outcome outcome = run({"-q", "score", write("a", "abc")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("not finite"), std::string::npos);
}

TEST_F(CommandTest, ScoreAsLines) {
  Outcome outcome = run({"score", write("a", "h\xC3\xA4\n")});
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 4)
      << outcome.out;
  EXPECT_NE(outcome.out.find("3\t10\t"), std::string::npos);
  EXPECT_NE(outcome.out.find("perplexity"), std::string::npos);
}

TEST_F(CommandTest, BenchMeasures) {
  Json bench =
      json({"--threads", "2", "bench", "--prompt", "20", "--gen", "5",
            "--batch", "3", "--position", "1000", "--repeat", "2", "--json"});
  EXPECT_EQ(bench["threads"], 2);
  EXPECT_EQ(bench["dtype"], "f32");
  EXPECT_EQ(bench["batch"], 3);
  EXPECT_GT(bench["prefill_tokens_per_second"].get<double>(), 0);
  EXPECT_GT(bench["decode_tokens_per_second"].get<double>(), 0);
  EXPECT_GT(bench["peak_memory_bytes"].get<int64_t>(), 1000000);
  // The head and the states; of the embedding a step reads a row only.
  EXPECT_EQ(bench["decode_bytes_per_step"], 16384 + 3 * 96);
  EXPECT_EQ(run({"-q", "bench", "--prompt", "0", "--gen", "2"}).code, 0);
  EXPECT_EQ(run({"-q", "bench", "--prompt", "9", "--gen", "0"}).code, 0);
  EXPECT_FALSE(fake::running().exceeded);
}

TEST_F(CommandTest, GlobalOptionsStandAnywhere) {
  EXPECT_EQ(
      run({"bench", "--gen", "1", "--prompt", "1", "--threads", "1", "-q"})
          .code,
      0);
}

} // namespace
} // namespace tnrt::test
