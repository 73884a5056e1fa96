// generate: determinism, batches, stops, interruption, and state files that
// resume with exactly the tokens an uninterrupted run gives.
#include "AppTest.h"

#include "tnrt/formats/Safetensors.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <csignal>
#include <cstring>

namespace tnrt::test {
namespace {

using Json = nlohmann::json;
using Strings = std::vector<std::string>;

class GenerateTest : public AppTest {
protected:
  // The sequences of a run, as JSON; `arguments` follow `generate`.
  Json generate(Strings arguments, int expectedCode = 0) {
    arguments.insert(arguments.begin(), {"-q", "generate", "--json"});
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, expectedCode) << outcome.err;
    Json json = Json::parse(outcome.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << outcome.out;
    return json.is_discarded() ? Json() : json["sequences"];
  }

  static Strings with(Strings base, const Strings &more) {
    base.insert(base.end(), more.begin(), more.end());
    return base;
  }

  static std::vector<int> tokens(const Json &sequences, size_t row = 0) {
    return sequences.at(row).at("tokens").get<std::vector<int>>();
  }

  static std::vector<int> joined(std::vector<int> a,
                                 const std::vector<int> &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
};

// Sends SIGINT from within the n-th decode step.
int64_t interruptAt = -1;
void interruptingDecode(void *context, int64_t batch, int64_t length,
                        const int32_t *tokens, const int64_t *positions,
                        float *hidden) {
  if (fake::running().decodeCalls == interruptAt)
    std::raise(SIGINT);
  fake::decode(context, batch, length, tokens, positions, hidden);
}
int64_t interruptPrefillAt = -1;
void interruptingPrefill(void *context, int64_t batch, int64_t length,
                         const int32_t *tokens, const int64_t *positions,
                         float *hidden) {
  if (fake::running().prefillCalls == interruptPrefillAt)
    std::raise(SIGINT);
  fake::prefill(context, batch, length, tokens, positions, hidden);
}

int64_t interruptPackedAt = -1;
void interruptingPacked(void *context, int64_t rows, int64_t sequences,
                        const int32_t *tokens, const int64_t *positions,
                        const int64_t *offsets, float *hidden) {
  if (fake::running().packedCalls == interruptPackedAt)
    std::raise(SIGINT);
  fake::packed(context, rows, sequences, tokens, positions, offsets, hidden);
}

TEST_F(GenerateTest, GivesTheAskedNumberOfTokens) {
  for (int n : {1, 2, 17}) {
    Json s = generate({"-p", "Hello", "-n", std::to_string(n), "--seed", "1"});
    EXPECT_EQ(tokens(s).size(), static_cast<size_t>(n));
    EXPECT_EQ(s[0]["finish"], "length");
  }
  EXPECT_FALSE(fake::running().exceeded);
}

TEST_F(GenerateTest, SameSeedSameTokens) {
  Json a = generate({"-p", "Hello", "-n", "30", "--seed", "1"});
  EXPECT_EQ(a, generate({"-p", "Hello", "-n", "30", "--seed", "1"}));
  EXPECT_NE(tokens(a),
            tokens(generate({"-p", "Hello", "-n", "30", "--seed", "2"})));
}

TEST_F(GenerateTest, GreedyNeedsNoSeed) {
  EXPECT_EQ(tokens(generate({"-p", "Hello", "-n", "30", "--temp", "0"})),
            tokens(generate(
                {"-p", "Hello", "-n", "30", "--temp", "0", "--seed", "9"})));
}

TEST_F(GenerateTest, BatchRowsAreWhatTheyAreAlone) {
  Strings prompts = {"Hi", "A rather longer prompt than eight tokens", "x",
                     "Hello", "Hi"};
  Strings all = {"-n", "12", "--seed", "40"};
  for (const std::string &prompt : prompts)
    all = with(all, {"-p", prompt});
  Json batch = generate(all);
  ASSERT_EQ(batch.size(), prompts.size());
  for (size_t row = 0; row < prompts.size(); ++row)
    EXPECT_EQ(tokens(batch, row),
              tokens(generate({"-p", prompts[row], "-n", "12", "--seed",
                               std::to_string(40 + row)})));
  EXPECT_NE(tokens(batch, 0), tokens(batch, 4)) << "each row draws on its own";
}

TEST_F(GenerateTest, StreamedTextIsTheText) {
  Outcome streamed =
      run({"-q", "generate", "-p", "Hello", "-n", "40", "--seed", "3"});
  Json s = generate({"-p", "Hello", "-n", "40", "--seed", "3"});
  EXPECT_EQ(streamed.out, s[0]["text"].get<std::string>() + "\n");
  EXPECT_EQ(streamed.err, "");
  Outcome echoed =
      run({"generate", "--echo", "-p", "Hello", "-n", "4", "--seed", "3"});
  EXPECT_EQ(echoed.out.rfind("Hello", 0), 0u);
  EXPECT_NE(echoed.err.find("tok/s"), std::string::npos);
}

TEST_F(GenerateTest, SeveralPromptsComeInOrderUnderHeaders) {
  Outcome outcome =
      run({"-q", "generate", "-p", "a", "-p", "b", "-n", "3", "--seed", "3"});
  Json s = generate({"-p", "a", "-p", "b", "-n", "3", "--seed", "3"});
  EXPECT_EQ(outcome.out, "=== 1 ===\n" + s[0]["text"].get<std::string>() +
                             "\n=== 2 ===\n" + s[1]["text"].get<std::string>() +
                             "\n");
}

TEST_F(GenerateTest, PromptFilesAreWholePrompts) {
  std::string file = write("prompt", "Hel\nlo");
  EXPECT_EQ(tokens(generate({"--prompt-file", file, "-n", "9", "--seed", "1"})),
            tokens(generate({"-p", "Hel\nlo", "-n", "9", "--seed", "1"})));
  EXPECT_EQ(generate({"--prompt-file", file, "-p", "a", "--prompt-file", file,
                      "-n", "1", "--seed", "1"})
                .size(),
            3u);
}

TEST_F(GenerateTest, EosEndsWhenAsked) {
  std::vector<int> all =
      tokens(generate({"-p", "Hello", "-n", "20", "--seed", "1"}));
  auto first = std::find(all.begin(), all.end(), all[7]);
  Json s = generate({"-p", "Hello", "-n", "20", "--seed", "1", "--eos",
                     std::to_string(all[7])});
  EXPECT_EQ(s[0]["finish"], "eos");
  EXPECT_EQ(tokens(s), std::vector<int>(all.begin(), first + 1));
}

TEST_F(GenerateTest, StopStringEndsTheText) {
  std::string text =
      generate({"-p", "Hello", "-n", "60", "--seed", "1", "--temp", "3",
                "--top-k", "0", "--min-p", "0"})[0]["text"];
  // Two neighbouring ASCII letters of the text: the stop spans two tokens.
  size_t at = 0;
  auto isPlain = [&](size_t i) { return text[i] > ' ' && text[i] < 127; };
  while (at + 1 < text.size() && !(isPlain(at) && isPlain(at + 1)))
    ++at;
  ASSERT_LT(at + 1, text.size());
  std::string stop = text.substr(at, 2);
  Json s = generate({"-p", "Hello", "-n", "60", "--seed", "1", "--temp", "3",
                     "--top-k", "0", "--min-p", "0", "--stop", "never",
                     "--stop", stop});
  EXPECT_EQ(s[0]["finish"], "stop");
  EXPECT_EQ(s[0]["text"], text.substr(0, text.find(stop)));
}

TEST_F(GenerateTest, RowsThatEndDoNotDisturbOthers) {
  Strings both = {"-p", "Hello", "-p", "World", "-n", "25", "--seed", "5"};
  std::vector<int> first = tokens(generate(both), 0),
                   second = tokens(generate(both), 1);
  std::string eos = std::to_string(first[4]);
  Json s = generate(with(both, {"--eos", eos, "--save-state", path("s")}));
  EXPECT_EQ(
      tokens(s, 0),
      std::vector<int>(first.begin(),
                       std::find(first.begin(), first.end(), first[4]) + 1));
  auto end = std::find(second.begin(), second.end(), first[4]);
  EXPECT_EQ(
      tokens(s, 1),
      std::vector<int>(second.begin(), end == second.end() ? end : end + 1));

  // The row that ended early was saved as it was then.
  Json alone = generate({"-p", "Hello", "-n", "25", "--seed", "5", "--eos", eos,
                         "--save-state", path("alone")});
  auto both1 = SafetensorsFile::open(path("s")),
       one = SafetensorsFile::open(path("alone"));
  ASSERT_TRUE(both1);
  ASSERT_TRUE(one);
  for (const char *name : {"state.0", "state.1", "position"}) {
    const TensorView *a = both1->find(name), *b = one->find(name);
    EXPECT_EQ(std::memcmp(a->data, b->data, b->bytes), 0) << name;
  }
}

TEST_F(GenerateTest, EveryCutResumesExactly) {
  Strings sampling = {"--temp",          "1.5", "--repeat-penalty", "1.3",
                      "--repeat-last-n", "7",   "--top-p",          "0.9",
                      "--seed",          "11"};
  std::vector<int> whole = tokens(
      generate(with({"-p", "Hello world, hello", "-n", "20"}, sampling)));
  for (int cut : {1, 2, 7, 8, 9, 19}) {
    std::vector<int> first =
        tokens(generate(with({"-p", "Hello world, hello", "-n",
                              std::to_string(cut), "--save-state", path("s")},
                             sampling)));
    // The sampler's options come from the file.
    std::vector<int> rest = tokens(
        generate({"--load-state", path("s"), "-n", std::to_string(20 - cut)}));
    EXPECT_EQ(joined(first, rest), whole) << cut;
  }
  EXPECT_EQ(fileCount(), 1);
}

TEST_F(GenerateTest, BatchResumesExactlyThroughSeveralCuts) {
  Strings start = {"-p", "Hi", "-p",     "Something longer",
                   "-p", "x",  "--seed", "2"};
  Json whole = generate(with(start, {"-n", "15"}));
  Json a = generate(with(start, {"-n", "4", "--save-state", path("s")}));
  Json b = generate(
      {"--load-state", path("s"), "-n", "1", "--save-state", path("s")});
  Json c = generate({"--load-state", path("s"), "-n", "10"});
  for (size_t row = 0; row < 3; ++row)
    EXPECT_EQ(joined(joined(tokens(a, row), tokens(b, row)), tokens(c, row)),
              tokens(whole, row));
}

TEST_F(GenerateTest, TextResumesWithinACharacter) {
  // The text of a run in pieces, without U+FFFD at the joints.
  Strings sampling = {"--temp", "5",       "--top-k", "0",      "--top-p",
                      "1",      "--min-p", "0",       "--seed", "3"};
  std::string whole = generate(
                  with({"-p", "Hello", "-n", "60"}, sampling))[0]["text"],
              joinedText;
  joinedText =
      generate(with({"-p", "Hello", "-n", "1", "--save-state", path("s")},
                    sampling))[0]["text"];
  for (int i = 1; i < 60; ++i) {
    Strings arguments = {"--load-state", path("s"), "-n", "1"};
    if (i < 59)
      arguments = with(arguments, {"--save-state", path("s")});
    joinedText += generate(arguments)[0]["text"];
  }
  EXPECT_EQ(joinedText, whole);
}

TEST_F(GenerateTest, StopAcrossAResumeIsFound) {
  std::vector<int> whole = tokens(
      generate({"-p", "Hello", "-n", "40", "--seed", "1", "--temp", "3"}));
  size_t at = 1;
  auto isPlain = [&](size_t i) { return whole[i] > ' ' && whole[i] < 127; };
  while (at + 1 < whole.size() && !(isPlain(at) && isPlain(at + 1)))
    ++at;
  ASSERT_LT(at + 1, whole.size());
  std::string stop = {static_cast<char>(whole[at]),
                      static_cast<char>(whole[at + 1])};
  generate({"-p", "Hello", "--seed", "1", "--temp", "3", "-n",
            std::to_string(at + 1), "--stop", stop, "--save-state", path("s")});
  Json rest = generate({"--load-state", path("s"), "-n", "5", "--stop", stop});
  EXPECT_EQ(rest[0]["finish"], "stop");
  EXPECT_EQ(rest[0]["text"], "");
}

TEST_F(GenerateTest, PromptOnlyStateContinues) {
  Json whole = generate({"-p", "Hello world", "-n", "9", "--seed", "4"});
  Json none = generate({"-p", "Hello world", "-n", "0", "--seed", "4",
                        "--save-state", path("s")});
  EXPECT_TRUE(tokens(none).empty());
  EXPECT_EQ(tokens(generate({"--load-state", path("s"), "-n", "9"})),
            tokens(whole));
  // A text in two parts is the text.
  generate(
      {"-p", "Hello ", "-n", "0", "--seed", "4", "--save-state", path("s")});
  EXPECT_EQ(
      tokens(generate({"--load-state", path("s"), "-p", "world", "-n", "9"})),
      tokens(whole));
}

TEST_F(GenerateTest, EndedSequencesNeedAPrompt) {
  std::vector<int> all =
      tokens(generate({"-p", "Hello", "-n", "5", "--seed", "1"}));
  generate({"-p", "Hello", "-n", "5", "--seed", "1", "--eos",
            std::to_string(all[2]), "--save-state", path("s")});
  expectBadInput({"generate", "--load-state", path("s")},
                 {"has ended", "prompt"});
  EXPECT_EQ(
      tokens(generate({"--load-state", path("s"), "-p", "go on", "-n", "3"}))
          .size(),
      3u);
}

TEST_F(GenerateTest, InterruptedDecodeResumesExactly) {
  Strings start = {"-p", "Hello", "-p", "You", "--seed", "6"};
  Json whole = generate(with(start, {"-n", "20"}));
  for (int at : {0, 1, 9}) {
    fake::running().decodeCalls = 0;
    interruptAt = at;
    module.decode = interruptingDecode;
    Json first =
        generate(with(start, {"-n", "20", "--save-state", path("s")}), 130);
    module.decode = fake::decode;
    EXPECT_EQ(first[0]["finish"], "interrupted");
    size_t done = tokens(first).size();
    EXPECT_EQ(done, static_cast<size_t>(at) + 2)
        << "the step that runs is finished";
    Json rest =
        generate({"--load-state", path("s"), "-n", std::to_string(20 - done)});
    for (size_t row : {0, 1})
      EXPECT_EQ(joined(tokens(first, row), tokens(rest, row)),
                tokens(whole, row));
  }
}

// Prompts that are packed: 5 and 34 tokens, 8 a step. The third, of one token, is
// not.
TEST_F(GenerateTest, InterruptedPackedPrefillResumesExactly) {
  Strings start = {"-p", "Hello", "-p",     std::string(31, 'y') + "end",
                   "-p", "z",     "--seed", "6"};
  Json whole = generate(with(start, {"-n", "10"}));
  EXPECT_EQ(fake::running().packedCalls, 5);
  for (int at : {0, 1, 2, 3, 4}) {
    fake::running().packedCalls = 0;
    interruptPackedAt = at;
    module.packed = interruptingPacked;
    Json first =
        generate(with(start, {"-n", "10", "--save-state", path("s")}), 130);
    EXPECT_EQ(fake::running().packedCalls, at + 1);
    module.packed = fake::packed;
    for (size_t row : {0, 1, 2}) {
      size_t done = tokens(first, row).size();
      Json rest = generate(
          {"--load-state", path("s"), "-n", std::to_string(10 - done)});
      EXPECT_EQ(joined(tokens(first, row), tokens(rest, row)),
                tokens(whole, row))
          << at << " " << row;
    }
  }
}

TEST_F(GenerateTest, InterruptedPrefillResumesExactly) {
  module.packed = nullptr;
  Strings start = {"-p", "Hello", "-p",     std::string(30, 'y') + "end",
                   "-p", "z",     "--seed", "6"};
  Json whole = generate(with(start, {"-n", "10"}));
  for (int at : {0, 1, 2, 3, 4}) {
    fake::running().prefillCalls = 0;
    interruptPrefillAt = at;
    module.prefill = interruptingPrefill;
    Json first =
        generate(with(start, {"-n", "10", "--save-state", path("s")}), 130);
    module.prefill = fake::prefill;
    for (size_t row : {0, 1, 2}) {
      size_t done = tokens(first, row).size();
      generate({"--load-state", path("s"), "-n", "0"}); // changes nothing
      Json rest = generate(
          {"--load-state", path("s"), "-n", std::to_string(10 - done)});
      EXPECT_EQ(joined(tokens(first, row), tokens(rest, row)),
                tokens(whole, row))
          << at << " " << row;
    }
  }
}

TEST_F(GenerateTest, ForeignStatesAreRefused) {
  generate(
      {"-p", "Hello", "-n", "2", "--seed", "1", "--save-state", path("s")});
  std::string before = read(path("s"));
  fake::Config config;
  config.layers = 3;
  use(config);
  expectBadInput({"generate", "--load-state", path("s")},
                 {path("s"), "state.2", "3 layers"});
  config.layers = 1;
  use(config);
  expectBadInput({"generate", "--load-state", path("s")},
                 {path("s"), "state.1", "1 layers"});
  config.layers = 2;
  config.valueWidth = 5;
  use(config);
  expectBadInput(
      {"generate", "--load-state", path("s")},
      {"state.0 is F32 [1, 2, 2, 3], expected F32 [1, 2, 2, 5]", "\"fake\""});
  config.valueWidth = 3;
  config.vocabulary = 16;
  use(config);
  expectBadInput({"generate", "--load-state", path("s")}, {"pending", "16"});
  EXPECT_EQ(read(path("s")), before);
}

TEST_F(GenerateTest, OtherBuildOfTheSameShapesIsNoted) {
  generate(
      {"-p", "Hello", "-n", "2", "--seed", "1", "--save-state", path("s")});
  use({}, "00112233", "99999999");
  Outcome outcome = run({"generate", "--load-state", path("s"), "-n", "2"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("another build"), std::string::npos)
      << outcome.err;
}

TEST_F(GenerateTest, DamagedStatesAreRefused) {
  expectBadInput({"generate", "--load-state", path("none")}, {path("none")});
  expectBadInput({"generate", "--load-state",
                  write("bad", "no state at all, but long enough")},
                 {path("bad")});
  auto plain =
      SafetensorsWriter::create(path("plain"), {{"x", DType::F32, {1}}});
  ASSERT_TRUE(plain);
  float zero = 0;
  ASSERT_TRUE(plain->write(&zero, sizeof zero));
  ASSERT_TRUE(plain->commit());
  expectBadInput({"generate", "--load-state", path("plain")},
                 {"not a state file"});
  generate(
      {"-p", "Hello", "-n", "2", "--seed", "1", "--save-state", path("s")});
  std::string bytes = read(path("s"));
  for (size_t size : {size_t(0), size_t(7), size_t(100), bytes.size() - 1})
    expectBadInput(
        {"generate", "--load-state", write("cut", bytes.substr(0, size))},
        {path("cut")});
  // Any flipped byte gives a run or one line, never a crash.
  for (size_t at = 0; at < bytes.size(); at += 9) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    Outcome outcome = run(
        {"-q", "generate", "--load-state", write("bit", damaged), "-n", "1"});
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 2)
        << at << " " << outcome.err;
  }
}

TEST_F(GenerateTest, StatesThatAreNotFiniteAreRefused) {
  generate(
      {"-p", "Hello", "-n", "2", "--seed", "1", "--save-state", path("s")});
  std::string bytes = read(path("s"));
  auto file = SafetensorsFile::open(path("s"));
  ASSERT_TRUE(file);
  // Where the data of state.1 lie: its first two values occur once.
  const TensorView *state = file->find("state.1");
  std::string data(reinterpret_cast<const char *>(state->data), state->bytes);
  size_t at = bytes.rfind(data);
  ASSERT_NE(at, std::string::npos);
  float bad = std::nanf("");
  std::memcpy(bytes.data() + at + 7 * sizeof bad, &bad, sizeof bad);
  expectBadInput({"generate", "--load-state", write("bad", bytes)},
                 {path("bad"), "state.1[0, 1, 0, 1] is nan"});
}

TEST_F(GenerateTest, UnwritableStateIsFoundBeforeTheWork) {
  fake::running().prefillCalls = 0;
  expectBadInput(
      {"-q", "generate", "-p", "a", "--save-state", path("no/such/folder/s")},
      {"no/such/folder"});
  expectBadInput({"-q", "generate", "-p", "a", "--save-state", folder.string()},
                 {folder.string()});
  EXPECT_EQ(fake::running().prefillCalls, 0);
}

TEST_F(GenerateTest, SavedStateMustNotReplaceWhatIsRead) {
  std::string file = write("prompt", "Hello");
  expectBadInput({"generate", "--prompt-file", file, "--save-state", file},
                 {"--save-state", file, "a prompt file"});
  EXPECT_EQ(read(file), "Hello");
  auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  expectBadInput({"generate", "-p", "a", "--save-state", self},
                 {self, "this executable"});
  // Its own state file is the natural place.
  generate({"-p", "a", "-n", "2", "--seed", "1", "--save-state", path("s")});
  std::string first = read(path("s"));
  generate({"--load-state", path("s"), "-n", "2", "--save-state", path("s")});
  EXPECT_NE(read(path("s")), first);
}

TEST_F(GenerateTest, NonFiniteLogitsAreAnError) {
  module.head = [](void *, int64_t rows, const float *, float *logits) {
    std::fill_n(logits, rows * 256, std::nanf(""));
  };
  expectBadInput({"generate", "-p", "abc", "--save-state", path("s")},
                 {"not finite"});
  expectBadInput({"generate", "-p", "abc", "-p", "d", "--json"},
                 {"not finite"});
  EXPECT_EQ(fileCount(), 0);
}

TEST_F(GenerateTest, EmptyPrompt) {
  expectBadInput({"generate", "-p", ""}, {"empty", "bos"});
  use({}, R"("add_bos_token": false)", R"("add_bos_token": true)");
  EXPECT_EQ(tokens(generate({"-p", "", "-n", "3", "--seed", "1"})).size(), 3u);
}

TEST_F(GenerateTest, SentencePieceEndsAtEosByDefault) {
  fake::Config config;
  config.vocabulary = 512;
  config.tokenizer = R"({"kind": "sentencepiece", "path": ")" TNLLM_APP_INPUTS
                     R"(/tokenizer.model"})";
  use(config);
  Strings arguments = {"-p", "Hello", "-n", "12", "--seed", "1", "--eos", "-1"};
  std::vector<int> all = tokens(generate(arguments));
  ASSERT_EQ(all.size(), 12u);
  size_t length = std::find(all.begin(), all.end(), all[6]) - all.begin() + 1;
  use(config, R"("eos_token_id": 2)",
      R"("eos_token_id": )" + std::to_string(all[6]));
  Json s = generate({"-p", "Hello", "-n", "12", "--seed", "1"});
  EXPECT_EQ(s[0]["finish"], "eos");
  EXPECT_EQ(tokens(s).size(), length);
  EXPECT_EQ(tokens(generate({"-p", "", "-n", "2", "--seed", "1"})).size(), 2u)
      << "from bos";
}

} // namespace
} // namespace tnrt::test
