// The commands of a training program, from the command line to files.
#include "AppTest.h"
#include "PublishedModel.h"
#include "TrainTest.h"

#include "train/TokenShard.h"

#include <nlohmann/json.hpp>

namespace tnrt::test {
namespace {

using Json = nlohmann::json;

class TrainCommandTest : public AppTest {
protected:
  void SetUp() override {
    AppTest::SetUp();
    manifest = fake::bigramManifest();
    module = fake::makeBigramTrainer(manifest);
    text = write("text", learnableText(4001));
    shard = path("a.bin");
    ASSERT_EQ(run({"-q", "tokenize", text, "-o", shard}).code, 0);
  }

  // Puts `to` in the place of the first `from` of the manifest.
  void inModel(const std::string &from, const std::string &to) {
    ASSERT_NE(manifest.find(from), std::string::npos);
    manifest.replace(manifest.find(from), from.size(), to);
    module = fake::makeBigramTrainer(manifest);
  }
  // train with these options and some that make it short.
  std::vector<std::string> training(std::vector<std::string> options) {
    std::vector<std::string> all = {
        "-q",    "train", "--data",         shard, "--out",   path("run"),
        "--seq", "16",    "--batch-tokens", "64",  "--steps", "20"};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }
  std::vector<std::string> resuming(std::vector<std::string> options) {
    std::vector<std::string> all = {"-q", "train", "--out", path("run"),
                                    "--resume"};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }

  std::string text, shard;
};

TEST_F(TrainCommandTest, HelpNamesTheCommands) {
  Outcome help = run({"--help"});
  for (const char *command : {"info", "train", "tokenize", "export", "import",
                              "plot", "grad", "detokenize"}) {
    EXPECT_TRUE(contains(help.out, command));
    Outcome one = run({command, "--help"});
    EXPECT_EQ(one.code, 0);
    EXPECT_TRUE(contains(one.out, std::string("Example: model ") + command));
  }
  EXPECT_EQ(help.out.find("generate"), std::string::npos);
}

TEST_F(TrainCommandTest, TokenizeTakesFilesLinesAndJson) {
  const std::string lines = write("lines", "one\n\n \t\ntwo\nthree");
  const std::string jsonl = write(
      "jsonl", "{\"text\": \"on\\ne\", \"id\": 1}\n{\"text\": \"two\"}\n");
  auto tokenize = [&](std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"tokenize", "-o", path("b.bin"), "--json"});
    Outcome outcome = run(options);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  };
  Json totals = tokenize({lines, text});
  EXPECT_EQ(totals["documents"], 2);
  EXPECT_EQ(totals["tokens"], 17 + 4001);
  EXPECT_EQ(totals["token_bytes"], 2);
  totals = tokenize({lines, "--documents", "lines", "--eos", "0"});
  EXPECT_EQ(totals["documents"], 3); // empty lines are none
  auto b = TokenShard::open(path("b.bin"));
  ASSERT_TRUE(b);
  std::vector<int32_t> ids(14);
  ASSERT_EQ(b->header().tokens, 14u);
  ASSERT_TRUE(b->read(0, 14, 256, ids.data()));
  EXPECT_EQ(ids, (std::vector<int32_t>{'o', 'n', 'e', 0, 't', 'w', 'o', 0, 't',
                                       'h', 'r', 'e', 'e', 0}));
  totals = tokenize({jsonl, "--documents", "jsonl"});
  EXPECT_EQ(totals["tokens"], 7);

  // The shard does not depend on the threads.
  ASSERT_EQ(
      run({"--threads", "1", "tokenize", text, lines, "-o", path("1.bin")})
          .code,
      0);
  ASSERT_EQ(
      run({"--threads", "5", "tokenize", text, lines, "-o", path("5.bin")})
          .code,
      0);
  EXPECT_EQ(read(path("1.bin")), read(path("5.bin")));
}

TEST_F(TrainCommandTest, TokenizeSaysWhatIsWrong) {
  const std::string out = path("c.bin");
  expectBadInput({"tokenize", text}, {"--output FILE is missing"});
  expectBadInput({"tokenize", "-o", out}, {"TEXT is missing"});
  expectBadInput({"tokenize", path("none"), "-o", out}, {"No such file"});
  expectBadInput({"tokenize", write("bad", "ab\xff"), "-o", out},
                 {"bad: expected text in UTF-8"});
  expectBadInput({"tokenize", text, "-o", text}, {"is a text"});
  expectBadInput({"tokenize", text, "-o", "-"}, {"-o -: expected a file"});
  expectBadInput({"tokenize", text, "-o", out, "--eos", "256"},
                 {"--eos 256: the model has ids below 256"});
  expectBadInput({"tokenize", text, "-o", out, "--documents", "words"},
                 {"expected file, lines or jsonl, found \"words\""});
  expectBadInput({"tokenize", text, "-o", out, "--documents", "jsonl"},
                 {"text, line 1: is not a JSON object"});
  expectBadInput({"tokenize", write("j", "{\"text\": \"a\"}\n{\"t\": 1}\n"),
                  "-o", out, "--documents", "jsonl"},
                 {"j, line 2: has no text \"text\""});
  expectBadInput({"tokenize", path(""), "-o", out, "--documents", "lines"},
                 {"expected a file or a pipe"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(TrainCommandTest, TrainsAndResumes) {
  Outcome whole = run(training({"--val", shard, "--save-every", "7"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.err, "");
  EXPECT_TRUE(contains(whole.out, "step  1/20 | loss 5.5"));
  EXPECT_TRUE(contains(whole.out, "step 20 | validation loss "));
  EXPECT_TRUE(contains(whole.out, " MFU | "));
  // Done already; nothing is computed.
  Outcome again = run(resuming({}));
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out.find("step "), again.out.find("step 20 | validation"));
  // Further, with what was given before.
  Outcome more = run(resuming({"--steps", "22", "--change", "--json"}));
  ASSERT_EQ(more.code, 0) << more.err;
  Json first = Json::parse(more.out.substr(0, more.out.find('\n')));
  EXPECT_EQ(first["step"], 21);
  EXPECT_EQ(first["tokens"], 21 * 64);
}

TEST_F(TrainCommandTest, RefusesToMixRuns) {
  ASSERT_EQ(run(training({})).code, 0);
  expectBadInput(training({}), {"holds a run, at step 20: --resume goes on"});
  expectBadInput(resuming({"--lr", "0.5", "--seed", "9", "--seq", "16"}),
                 {"--resume: not what ",
                  "step-00000020 was made with: lr: "
                  "0.0003 in the checkpoint, 0.5 now, seed: 1 in the "
                  "checkpoint, 9 now; --change goes on all the same"});
  // The same tokens under another path are the same data.
  std::filesystem::create_directory(path("moved"));
  std::filesystem::rename(shard, path("moved/a.bin"));
  expectBadInput(resuming({}), {"no shards at " + shard});
  EXPECT_EQ(run(resuming({"--data", path("moved")})).code, 0);
  writeTextShard(path("moved/a.bin"), learnableText(4002));
  expectBadInput(resuming({"--data", path("moved")}),
                 {"shard 1: a.bin (4001 tokens) in the checkpoint, a.bin (4002 "
                  "tokens) now"});
}

// A run repeats its batches: what programs for GPUs refuse otherwise is so.
TEST_F(TrainCommandTest, DeterministicIsOfEveryMachine) {
  EXPECT_EQ(run({"--deterministic", "info"}).code, 0);
  const std::string target = R"("target": {)";
  manifest.replace(manifest.find(target), target.size(),
                   target + R"("kind": "gpu", "chip": "sm_90a", )");
  module = fake::makeBigramTrainer(manifest);
  Outcome outcome = run({"--deterministic", "info"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "NVIDIA GPU, sm_90a"));
}

// The same parameters, and another program.
TEST_F(TrainCommandTest, RefusesAnotherModel) {
  ASSERT_EQ(run(training({})).code, 0);
  const std::string trained = manifest;
  auto replace = [&](const std::string &from, const std::string &to) {
    const size_t at = manifest.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    manifest.replace(at, from.size(), to);
  };
  auto withOther = [&](const std::function<void()> &change) {
    manifest = trained;
    change();
    module = fake::makeBigramTrainer(manifest);
  };
  withOther([&] {
    replace("\"max_sequences\"", "\"amp\": \"bf16\", \"max_sequences\"");
  });
  expectBadInput(resuming({"--lr", "0.5"}),
                 {"step-00000020 was made with: model's amp: \"off\" in the "
                  "checkpoint, \"bf16\" now, lr: 0.0003 in the checkpoint, 0.5 "
                  "now; --change goes on all the same"});
  withOther([&] {
    replace("\"decoder_layers\": 1", "\"decoder_layers\": 2, \"norm_eps\": 1");
  });
  expectBadInput(resuming({}),
                 {"model's decoder_layers: 1 in the checkpoint, 2 "
                  "now, model's norm_eps: null in the checkpoint, 1 now"});
  EXPECT_EQ(run(resuming({"--change", "--steps", "21"})).code, 0);
  EXPECT_EQ(run(resuming({})).code, 0);
  // Another build of the same model, under another name.
  withOther([&] {
    replace("\"decoder_layers\": 1", "\"decoder_layers\": 2, \"norm_eps\": 1");
    replace("\"name\": \"bigram\"", "\"name\": \"pairs\"");
    replace("b16b16b16b16b16b", "b17b17b17b17b17b");
  });
  EXPECT_EQ(run(resuming({})).code, 0);
}

TEST_F(TrainCommandTest, SaysWhatDataCannotBeUsed) {
  auto bad = [&](const std::string &file, const std::string &words) {
    expectBadInput({"train", "--data", file, "--out", path("run"), "--seq",
                    "16", "--batch-tokens", "64", "--steps", "20"},
                   {words});
    EXPECT_FALSE(std::filesystem::exists(path("run"))) << file;
  };
  bad(write("empty", ""), "empty: is empty, expected a shard of tokens");
  bad(text, "text: is not a shard of tokens");
  const std::string bytes = read(shard);
  bad(write("cut", bytes.substr(0, 1000)),
      "cut: is cut off: it has 468 of 4001 tokens");
  writeTextShard(path("few"), learnableText(64));
  bad(path("few"), "--data: 64 tokens are too few: they make 3 sequences of 16 "
                   "and a label, expected 4 for one batch");
  writeTextShard(path("large"), learnableText(4000), 300);
  bad(path("large"), "large: has ids below 300, the model has 256");
  bad(path("none*"), "no shards at");
  expectBadInput({"train", "--data", shard, "--val", path("empty"), "--out",
                  path("run"), "--seq", "16", "--batch-tokens", "64", "--steps",
                  "20"},
                 {"empty: is empty"});
}

// Ids that the header does not own up to stop the run where they are; --verify
// finds them before.
TEST_F(TrainCommandTest, FindsIdsPastTheVocabulary) {
  std::string bytes = read(shard);
  bytes[64 + 2 * 2000 + 1] = 1; // token 2000 is 256 or more
  const std::string bad = write("bad.bin", bytes);
  std::vector<std::string> options = training({});
  options[3] = bad;
  std::vector<std::string> checked = options;
  checked.push_back("--verify");
  expectBadInput(checked, {"bad.bin: token 2000 is "});
  options.insert(options.end(), {"--steps", "200"});
  options.erase(options.begin() + 10, options.begin() + 12);
  Outcome outcome = run(options);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(contains(outcome.err, "bad.bin: token 2000 is "));
  EXPECT_TRUE(contains(outcome.err, "the last good checkpoint is " +
                                        path("run") + "/checkpoints/step-"));
}

TEST_F(TrainCommandTest, ChecksItsOptions) {
  expectBadInput({"train"}, {"--out RUN is missing"});
  expectBadInput({"train", "--out", path("run")}, {"--data is missing"});
  expectBadInput(
      training({"--schedule", "stairs"}),
      {"expected cosine, linear, wsd or constant, found \"stairs\""});
  expectBadInput(training({"--on-spike", "cry"}),
                 {"expected flag, skip or rollback"});
  expectBadInput(training({"--betas", "0.9,1"}), {"from 0 to below 1"});
  for (const char *epsilon : {"0", "1e-39"})
    expectBadInput(training({"--eps", epsilon}),
                   {"expected a number above 0 (1.2e-38 at least)"});
  expectBadInput(training({"--lr", "nan"}), {"--lr", "found \"nan\""});
  expectBadInput(training({"--warmup", "21"}), {"expected at most --steps 20"});
  expectBadInput(training({"--accumulate", "3"}), {"--accumulate 3"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));
  ASSERT_EQ(run(training({"--betas", "0.5,0.75", "--eval-every", "0"})).code,
            0);
  Json state = Json::parse(
      read(path("run/checkpoints/step-00000020/trainer.json")), nullptr, false);
  EXPECT_EQ(state["config"]["beta1"], 0.5);
  EXPECT_EQ(state["config"]["beta2"], 0.75);
}

// The trainer reads bytes, and so must what made its shards.
TEST_F(TrainCommandTest, RefusesShardsOfAnotherTokenizer) {
  const std::string foreign = path("foreign.bin");
  auto writer = ShardWriter::create(foreign, 256, tokenizerHash("a model"));
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->add(std::vector<int32_t>(4001, 7)));
  ASSERT_TRUE(writer->commit());
  std::vector<std::string> options = training({});
  options[3] = foreign;
  expectBadInput(options, {"foreign.bin: was made by tokenizer ",
                           ", the model's is bytes"});
  expectBadInput(training({"--val", foreign}),
                 {"foreign.bin: was made by tokenizer "});
  EXPECT_FALSE(std::filesystem::exists(path("run")));
}

// A model of more ids than there are bytes, without a tokenizer: shards may be
// anyone's, but all of one.
TEST_F(TrainCommandTest, TakesShardsWhereTheModelHasNoTokenizer) {
  inModel("256", "257");
  const std::string foreign = path("foreign.bin");
  auto writer = ShardWriter::create(foreign, 256, tokenizerHash("a model"));
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->add(std::vector<int32_t>(4001, 7)));
  ASSERT_TRUE(writer->commit());
  expectBadInput(training({"--val", foreign}),
                 {"--val was made by tokenizer ", ", --data by bytes"});
  std::vector<std::string> options = training({});
  options[3] = foreign;
  Outcome outcome = run(options);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(TrainCommandTest, PlotsARun) {
  ASSERT_EQ(run(training({"--val", shard})).code, 0);
  Outcome outcome = run({"plot", path("run")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, path("run/report.html") + "\n");
  EXPECT_TRUE(contains(read(path("run/report.html")), "<!DOCTYPE html>"));
  ASSERT_EQ(run({"plot", path("run"), "-o", path("x.svg")}).code, 0);
  EXPECT_EQ(read(path("x.svg")).rfind("<svg ", 0), 0u);
  expectBadInput({"plot", path("none")}, {"is not there, expected a run"});
  std::filesystem::create_hard_link(path("run/metrics.jsonl"),
                                    path("curves.svg"));
  expectBadInput({"plot", path("run"), "-o", path("curves.svg")},
                 {"is the run's metrics"});
  for (const char *name : {"x.png", "x", "svg"})
    expectBadInput({"plot", path("run"), "-o", path(name)},
                   {"expected *.svg or *.html"});
  EXPECT_FALSE(std::filesystem::exists(path("x.png")));
}

// Its config.json must not pass for one that the published code computes.
TEST_F(TrainCommandTest, ExportSaysWhatThePublishedCodeDoesNotKnow) {
  inModel("\"add_bos_token\"", "\"decay\": \"none\", \"add_bos_token\"");
  ASSERT_EQ(run(training({})).code, 0);
  Outcome out = run({"export", path("run"), "-o", path("hf")});
  ASSERT_EQ(out.code, 0);
  EXPECT_TRUE(contains(out.err, path("hf") +
                                    " is for tnllmc: the published PyTorch "
                                    "code does not know, and would pass over, "
                                    "decay: \"none\"\n"))
      << out.err;
  Json config = Json::parse(read(path("hf/config.json")), nullptr, false);
  EXPECT_EQ(config["model_type"], "transnormer-variant");
  EXPECT_FALSE(config.contains("architectures"));
  EXPECT_EQ(config["decay"], "none");
}

TEST(PublishedModel, NamesTheKeysThatAreBeyondIt) {
  const nlohmann::ordered_json published = {{"decoder_embed_dim", 64},
                                            {"norm_type", "simplermsnorm"},
                                            {"norm_eps", 1e-6f},
                                            {"norm_bias", false},
                                            {"decay", "transnormer"},
                                            {"attention_scale", 1},
                                            {"attention", "linear"},
                                            {"attention_block", 64},
                                            {"gate", true},
                                            {"glu_act_fun", "none"},
                                            {"rope_theta", nullptr},
                                            {"absolute_positions", false},
                                            {"embedding_scale", 8.0},
                                            {"linear_act_fun", "1+elu"},
                                            {"linear_use_lrpe_list", {1}},
                                            {"bias", true}};
  auto found = [&](const nlohmann::ordered_json &changed) {
    nlohmann::ordered_json model = published;
    model.update(changed);
    return keysBeyondPublished(model);
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(found(nlohmann::ordered_json::object()), Lines{});
  EXPECT_EQ(found({{"embedding_scale", 1}}), Lines{});
  EXPECT_EQ(found({{"norm_type", "layernorm"},
                   {"norm_eps", 1e-5},
                   {"norm_bias", true}}),
            Lines{});
  const nlohmann::ordered_json beyond = {{"decay", "headwise"},
                                         {"attention_scale", 0.125},
                                         {"attention", {"diag", "linear"}},
                                         {"gate", false},
                                         {"glu_act_fun", "silu"},
                                         {"rope_theta", 10000},
                                         {"absolute_positions", true},
                                         {"embedding_scale", 2.0}};
  for (const auto &[key, value] : beyond.items()) {
    nlohmann::ordered_json changed;
    changed[key] = value;
    EXPECT_EQ(found(changed), Lines{key + ": " + value.dump()});
  }
  const std::vector<nlohmann::ordered_json> norms = {
      {{"norm_type", "rmsnorm"}},
      {{"norm_eps", 1e-5}},
      {{"norm_type", "layernorm"}, {"norm_eps", 1e-5}}};
  for (const nlohmann::ordered_json &norm : norms)
    EXPECT_EQ(found(norm).size(), 3u) << norm;
}

TEST_F(TrainCommandTest, ExportsAndImports) {
  ASSERT_EQ(run(training({"--lr", "0.02"})).code, 0);
  Outcome out = run({"-q", "export", path("run"), "-o", path("hf")});
  ASSERT_EQ(out.code, 0) << out.err;
  EXPECT_EQ(out.out,
            "step 20 of " + path("run") + " is in " + path("hf") + "\n");
  Json config = Json::parse(read(path("hf/config.json")), nullptr, false);
  EXPECT_EQ(config["vocab_size"], 256);
  EXPECT_EQ(config["torch_dtype"], "float32");
  EXPECT_EQ(config["architectures"][0], "TransnormerForCausalLM");
  EXPECT_EQ(config["model_type"], "transnormer");
  EXPECT_FALSE(config.contains("name"));
  auto weights = SafetensorsFile::open(path("hf/model.safetensors"));
  auto saved = SafetensorsFile::open(
      path("run/checkpoints/step-00000020/parameters.safetensors"));
  ASSERT_TRUE(weights && saved);
  for (const char *name : {"bigram.weight", "bigram.bias"})
    EXPECT_EQ(std::memcmp(weights->find(name)->data, saved->find(name)->data,
                          saved->find(name)->bytes),
              0);
  expectBadInput({"export", path("run"), "-o", path("hf")},
                 {"is there already, expected a new or an empty folder"});
  expectBadInput({"export", path("none"), "-o", path("x")},
                 {"expected a run or a checkpoint"});

  // bf16 and back: what is imported is what training starts from.
  ASSERT_EQ(run({"-q", "export", path("run/checkpoints/step-00000020"), "-o",
                 path("half"), "--dtype", "bf16"})
                .code,
            0);
  ASSERT_EQ(run({"-q", "import", path("half"), "-o", path("next")}).code, 0);
  expectBadInput({"import", path("half"), "-o", path("next")},
                 {"has a checkpoint already"});
  std::vector<std::string> options = training({"--log-every", "100"});
  options[5] = path("next");
  Outcome next = run(options);
  ASSERT_EQ(next.code, 0) << next.err;
  Json first =
      Json::parse(read(path("next/metrics.jsonl"))
                      .substr(0, read(path("next/metrics.jsonl")).find('\n')));
  Json last;
  std::istringstream lines(read(path("run/metrics.jsonl")));
  for (std::string line; std::getline(lines, line);)
    last = Json::parse(line);
  EXPECT_LT(first["loss"].get<double>(), 5.5);
  EXPECT_NEAR(first["loss"].get<double>(), last["loss"].get<double>(), 0.15);

  writeTensors(path("other.safetensors"),
               {{"bigram.weight", {2, 2}, {1, 2, 3, 4}}});
  expectBadInput({"import", path("other.safetensors"), "-o", path("y")},
                 {"is of another model: 'bigram.weight' is [2, 2], expected "
                  "[256, 256], 'bigram.bias' is missing"});
  EXPECT_FALSE(std::filesystem::exists(path("y")));
}

} // namespace
} // namespace tnrt::test
