// run: tensors in, tensors out, in any split; and what it refuses.
#include "AppTest.h"
#include "Signals.h"

#include "tnrt/formats/Safetensors.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <map>
#include <numeric>
#include <sys/resource.h>

namespace tnrt::test {
namespace {

struct Tensor {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<unsigned char> bytes;
};
using Tensors = std::map<std::string, Tensor>;

template <typename T>
Tensor tensor(DType dtype, std::vector<int64_t> shape,
              const std::vector<T> &values) {
  Tensor result{dtype, std::move(shape), {}};
  auto begin = reinterpret_cast<const unsigned char *>(values.data());
  result.bytes.assign(begin, begin + values.size() * sizeof(T));
  return result;
}

template <typename T> std::vector<T> values(const Tensor &tensor) {
  std::vector<T> result(tensor.bytes.size() / sizeof(T));
  std::memcpy(result.data(), tensor.bytes.data(), tensor.bytes.size());
  return result;
}

class RunCommandTest : public AppTest {
protected:
  std::string save(const std::string &name, const Tensors &tensors) {
    std::vector<TensorSpec> specs;
    for (const auto &[key, value] : tensors)
      specs.push_back({key, value.dtype, value.shape});
    auto writer = SafetensorsWriter::create(path(name), specs);
    EXPECT_TRUE(writer);
    for (const auto &[key, value] : tensors)
      EXPECT_TRUE(writer->write(value.bytes.data(), value.bytes.size()));
    EXPECT_TRUE(writer->commit());
    return path(name);
  }

  Tensors load(const std::string &file) {
    Tensors tensors;
    auto opened = SafetensorsFile::open(file);
    if (!opened) {
      ADD_FAILURE() << opened.message();
      return tensors;
    }
    for (const TensorView &view : opened->tensors())
      tensors[view.name] = {
          view.dtype, view.shape, {view.data, view.data + view.bytes}};
    return tensors;
  }

  Tensors forward(const Tensors &input, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {
        "-q", "run", "--input", save("in", input), "--output", path("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return load(path("out"));
  }

  static Tensor ids(int64_t batch, int64_t length) {
    std::vector<int64_t> tokens(static_cast<size_t>(batch * length));
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<int64_t>((i * 37 + 5) % 256);
    return tensor(DType::I64, {batch, length}, tokens);
  }

  // Columns [begin, end) of tokens [B, N].
  static Tensor columns(const Tensor &tokens, int64_t begin, int64_t end) {
    auto all = values<int64_t>(tokens);
    std::vector<int64_t> part;
    for (int64_t b = 0; b < tokens.shape[0]; ++b)
      part.insert(part.end(), all.begin() + b * tokens.shape[1] + begin,
                  all.begin() + b * tokens.shape[1] + end);
    return tensor(DType::I64, {tokens.shape[0], end - begin}, part);
  }

  static void expectPart(const Tensor &whole, const Tensor &part,
                         int64_t begin) {
    auto a = values<float>(whole), b = values<float>(part);
    int64_t width = whole.shape[2];
    for (int64_t row = 0; row < whole.shape[0]; ++row)
      EXPECT_TRUE(
          std::equal(b.begin() + row * part.shape[1] * width,
                     b.begin() + (row + 1) * part.shape[1] * width,
                     a.begin() + (row * whole.shape[1] + begin) * width));
  }

  void expectBad(const Tensors &input, const std::vector<std::string> &words) {
    std::ofstream(path("out")) << "precious";
    std::vector<std::string> all = words;
    all.push_back(save("in", input));
    expectBadInput({"run", "--input", path("in"), "--output", path("out")},
                   all);
    EXPECT_EQ(read(path("out")), "precious");
  }
};

TEST_F(RunCommandTest, NamesAndShapes) {
  Tensors out = forward({{"input_ids", ids(2, 21)}});
  ASSERT_EQ(out.size(), 5u);
  EXPECT_EQ(out["logits"].shape, (std::vector<int64_t>{2, 21, 256}));
  EXPECT_EQ(out["hidden.0"].shape, (std::vector<int64_t>{2, 21, 16}));
  EXPECT_EQ(out["state.0"].shape, (std::vector<int64_t>{2, 2, 2, 3}));
  EXPECT_EQ(out["state.1"].shape, (std::vector<int64_t>{2, 2, 2, 3}));
  EXPECT_EQ(out["position"].shape, (std::vector<int64_t>{}));
  EXPECT_EQ(values<int64_t>(out["position"]), (std::vector<int64_t>{21}));
  EXPECT_FALSE(fake::running().exceeded);
  EXPECT_EQ(fileCount(), 2) << "no temporary stays";
}

// state[0] counts tokens and state[1] is a known sum: the values, not only
// shapes.
TEST_F(RunCommandTest, StatesOfEveryRow) {
  Tensor tokens = ids(5, 13);
  Tensors out = forward({{"input_ids", tokens}});
  auto all = values<int64_t>(tokens);
  auto state = values<float>(out["state.1"]);
  for (int64_t b = 0; b < 5; ++b) {
    float sum = 0;
    for (int64_t t = 0; t < 13; ++t)
      sum = 0.5f * sum + static_cast<float>(all[b * 13 + t]);
    EXPECT_EQ(state[b * 12], 13);
    EXPECT_EQ(state[b * 12 + 1], sum);
  }
}

TEST_F(RunCommandTest, EverySplitAgrees) {
  for (int64_t batch : {1, 2, 4}) {
    Tensor tokens = ids(batch, 20);
    Tensors whole = forward({{"input_ids", tokens}});
    for (int64_t cut : {1, 7, 8, 10, 19}) {
      Tensors first = forward({{"input_ids", columns(tokens, 0, cut)}});
      Tensors second = forward({{"input_ids", columns(tokens, cut, 20)},
                                {"position", first["position"]},
                                {"state.0", first["state.0"]},
                                {"state.1", first["state.1"]}});
      for (const char *name : {"logits", "hidden.0"}) {
        expectPart(whole[name], first[name], 0);
        expectPart(whole[name], second[name], cut);
      }
      for (const char *name : {"state.0", "state.1", "position"})
        EXPECT_EQ(whole[name].bytes, second[name].bytes);
    }
  }
}

TEST_F(RunCommandTest, TokenByToken) {
  Tensor tokens = ids(2, 9);
  Tensors whole = forward({{"input_ids", tokens}}), step;
  for (int64_t t = 0; t < 9; ++t) {
    Tensors input = {{"input_ids", columns(tokens, t, t + 1)}};
    for (const char *name : {"state.0", "state.1", "position"})
      if (t > 0)
        input[name] = step[name];
    step = forward(input);
    expectPart(whole["logits"], step["logits"], t);
  }
  EXPECT_EQ(whole["state.1"].bytes, step["state.1"].bytes);
}

TEST_F(RunCommandTest, Int32TokensAndOnly) {
  auto wide = values<int64_t>(ids(1, 6));
  std::vector<int32_t> narrow(wide.begin(), wide.end());
  Tensors a = forward({{"input_ids", ids(1, 6)}});
  Tensors b = forward({{"input_ids", tensor(DType::I32, {1, 6}, narrow)}},
                      {"--only", "logits,state"});
  EXPECT_EQ(a["logits"].bytes, b["logits"].bytes);
  EXPECT_EQ(b.count("hidden.0"), 0u);
  EXPECT_EQ(b.count("state.1"), 1u);
  EXPECT_EQ(forward({{"input_ids", ids(1, 6)}}, {"--only", "hidden"}).size(),
            1u);
}

TEST_F(RunCommandTest, PositionsPerRow) {
  Tensors start = forward({{"input_ids", ids(2, 3)}});
  Tensors input = {{"input_ids", ids(2, 3)},
                   {"state.0", start["state.0"]},
                   {"state.1", start["state.1"]},
                   {"position", tensor<int64_t>(DType::I64, {2}, {3, 90})}};
  Tensors out = forward(input);
  EXPECT_EQ(out["position"].shape, (std::vector<int64_t>{2}));
  EXPECT_EQ(values<int64_t>(out["position"]), (std::vector<int64_t>{6, 93}));
  input["position"] = tensor<int64_t>(DType::I64, {1}, {3});
  EXPECT_EQ(values<int64_t>(forward(input)["position"]),
            (std::vector<int64_t>{6}));
}

// Packed sequences: the rows of each are those it has alone, and so is its
// state; and they go on.
TEST_F(RunCommandTest, PackedSequences) {
  const std::vector<int64_t> lengths = {3, 11, 1, 20};
  std::vector<int64_t> offsets = {0};
  for (int64_t length : lengths)
    offsets.push_back(offsets.back() + length);
  const auto tokens = values<int64_t>(ids(1, offsets.back()));
  const Tensor cuts = tensor(DType::I64, {5}, offsets);
  Tensors input = {{"input_ids", tensor(DType::I64, {offsets.back()}, tokens)},
                   {"offsets", cuts}};
  for (bool goesOn : {false, true}) {
    Tensors all = forward(input);
    EXPECT_EQ(all["logits"].shape, (std::vector<int64_t>{35, 256}));
    EXPECT_EQ(all["hidden.0"].shape, (std::vector<int64_t>{35, 16}));
    EXPECT_EQ(all["state.0"].shape[0], 4);
    auto logits = values<float>(all["logits"]);
    auto hidden = values<float>(all["hidden.0"]);
    auto states = values<float>(all["state.1"]);
    for (size_t s = 0; s < lengths.size(); ++s) {
      const Tensor mine =
          tensor(DType::I64, {1, lengths[s]},
                 std::vector<int64_t>(tokens.begin() + offsets[s],
                                      tokens.begin() + offsets[s + 1]));
      Tensors one = forward({{"input_ids", mine}});
      for (int again = 0; again < int(goesOn); ++again)
        one = forward({{"input_ids", mine},
                       {"state.0", one["state.0"]},
                       {"state.1", one["state.1"]},
                       {"position", one["position"]}});
      auto part = values<float>(one["logits"]);
      EXPECT_TRUE(std::equal(part.begin(), part.end(),
                             logits.begin() + offsets[s] * 256));
      part = values<float>(one["hidden.0"]);
      EXPECT_TRUE(std::equal(part.begin(), part.end(),
                             hidden.begin() + offsets[s] * 16));
      part = values<float>(one["state.1"]);
      EXPECT_TRUE(std::equal(part.begin(), part.end(),
                             states.begin() + long(s * part.size())));
    }
    for (const char *name : {"state.0", "state.1", "position"})
      input[name] = all[name];
  }
}

TEST_F(RunCommandTest, BadOffsets) {
  const Tensor tokens = tensor(DType::I64, {6}, std::vector<int64_t>(6, 1));
  auto with = [&](std::vector<int64_t> offsets) {
    const auto count = static_cast<int64_t>(offsets.size());
    return Tensors{{"input_ids", tokens},
                   {"offsets", tensor(DType::I64, {count}, offsets)}};
  };
  expectBad(with({1, 6}), {"offsets[0] is 1, expected 0 first"});
  expectBad(with({0, 3, 3, 6}), {"offsets[2] is 3", "more each time"});
  expectBad(with({0, 7, 6}), {"offsets[1] is 7"});
  expectBad(with({0, 5}), {"offsets[1] is 5", "last 6, the number of tokens"});
  expectBad(with({0}), {"offsets is I64 [1]", "at least one sequence"});
  Tensors matrix = with({0, 6});
  matrix["input_ids"] = ids(1, 6);
  expectBad(matrix, {"input_ids is I64 [1, 6]", "[T] beside offsets"});
}

TEST_F(RunCommandTest, OutputMustNotReplaceWhatIsRead) {
  std::string file = save("both", {{"input_ids", ids(1, 4)}});
  std::string before = read(file);
  std::filesystem::create_symlink(file, path("symbolic"));
  std::filesystem::create_hard_link(file, path("hard"));
  for (const std::string &output : {file, path("symbolic"), path("hard")})
    expectBadInput({"run", "--input", file, "--output", output},
                   {"--output", output, "is the input"});
  EXPECT_EQ(read(file), before);

  auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  expectBadInput({"run", "--input", file, "--output", self},
                 {self, "this executable"});

  std::string shard = save("model-00001.safetensors", {});
  std::string index =
      write("model.safetensors.index.json", R"({"weight_map": {}})");
  fake::Config config;
  config.weights = R"({"kind": "link", "path": ")" + index + R"("})";
  use(config);
  expectBadInput({"run", "--input", file, "--output", index},
                 {index, "a file of the weights"});
  expectBadInput(
      {"--weights", shard, "run", "--input", file, "--output", shard},
      {shard, "a file of the weights"});
}

// The size limit of a process ends it by a signal unless that is ignored.
TEST_F(RunCommandTest, FileSizeLimitIsAnError) {
  std::string file = save("in", {{"input_ids", ids(1, 40)}});
  struct rlimit old, low;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  low = old;
  low.rlim_cur = 20000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
  expectBadInput({"-q", "run", "--input", file, "--output", path("out")},
                 {path("out"), "File too large"});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_EQ(fileCount(), 1) << "no temporary stays";
}

TEST_F(RunCommandTest, MappedFileThatShrinksIsAnError) {
  std::string file = save("in", {{"input_ids", ids(1, 4)}});
  run({"info"}); // installs the handler
  auto shrink = [&] {
    auto mapped = MappedFile::open(file);
    std::filesystem::resize_file(file, 0);
    volatile unsigned char byte = *(*mapped)->data();
    (void)byte;
  };
  EXPECT_EXIT(shrink(), ::testing::ExitedWithCode(2),
              "^model: a mapped file was truncated");
}

// The weights are truncated while there is an unfinished output.
TEST_F(RunCommandTest, MappedFileThatShrinksLeavesNoTemporary) {
  module.prefill = [](void *, int64_t, int64_t, const int32_t *,
                      const int64_t *, float *) {
    const std::string file = std::to_string(::getpid()) + ".mapped";
    std::ofstream(file) << "bytes";
    auto mapped = MappedFile::open(file);
    std::filesystem::resize_file(file, 0);
    std::filesystem::remove(file);
    volatile unsigned char byte = *(*mapped)->data();
    (void)byte;
  };
  std::string file = save("in", {{"input_ids", ids(1, 4)}});
  write("out", "precious");
  auto crash = [&] {
    std::filesystem::current_path(folder);
    runHere({"-q", "--threads", "1", "run", "--input", file, "--output",
             path("out")});
  };
  EXPECT_EXIT(crash(), ::testing::ExitedWithCode(2),
              "^model: a mapped file was truncated");
  EXPECT_EQ(read(path("out")), "precious");
  EXPECT_EQ(fileCount(), 2) << "a temporary stays";
}

TEST_F(RunCommandTest, InterruptionLeavesTheOldOutput) {
  module.prefill = [](void *context, int64_t batch, int64_t length,
                      const int32_t *tokens, const int64_t *positions,
                      float *hidden) {
    std::raise(SIGTERM);
    fake::prefill(context, batch, length, tokens, positions, hidden);
  };
  std::string file = save("in", {{"input_ids", ids(1, 40)}});
  write("out", "precious");
  EXPECT_EQ(run({"-q", "run", "--input", file, "--output", path("out")}).code,
            143);
  EXPECT_EQ(read(path("out")), "precious");
  EXPECT_EQ(fileCount(), 2);
}

// The second signal ends the process, whichever it is.
TEST_F(RunCommandTest, SecondInterruptionLeavesNoTemporary) {
  module.prefill = [](void *, int64_t, int64_t, const int32_t *,
                      const int64_t *, float *) {
    std::raise(SIGINT);
    std::raise(SIGTERM);
  };
  std::string file = save("in", {{"input_ids", ids(1, 4)}});
  write("out", "precious");
  EXPECT_EXIT(runHere({"-q", "--threads", "1", "run", "--input", file,
                       "--output", path("out")}),
              ::testing::KilledBySignal(SIGTERM), "");
  EXPECT_EQ(read(path("out")), "precious");
  EXPECT_EQ(fileCount(), 2) << "a temporary stays";
}

// Outside a command's orderly end the first one does.
TEST_F(RunCommandTest, SignalsEndTheProcessWithoutTemporaries) {
  auto end = [&](int signal) {
    std::signal(signal, SIG_DFL);
    handleSignals("model");
    auto file = AtomicFile::create(path("out"));
    std::raise(signal);
  };
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(end(signal), ::testing::KilledBySignal(signal), "");
    EXPECT_EQ(fileCount(), 0) << "a temporary stays";
  }
  // nohup's choice.
  auto ignore = [&] {
    std::signal(SIGHUP, SIG_IGN);
    handleSignals("model");
    std::raise(SIGHUP);
    std::_Exit(7);
  };
  EXPECT_EXIT(ignore(), ::testing::ExitedWithCode(7), "");
}

TEST_F(RunCommandTest, BadTokens) {
  expectBad({{"position", tensor<int64_t>(DType::I64, {}, {0})}},
            {"no tensor input_ids"});
  expectBad({{"input_ids", tensor<float>(DType::F32, {1, 1}, {0})}},
            {"input_ids is F32 [1, 1]", "I64 or I32 [B, N]"});
  expectBad({{"input_ids", tensor<int64_t>(DType::I64, {2}, {0, 1})}},
            {"I64 [2]", "[B, N]"});
  expectBad({{"input_ids", tensor<int64_t>(DType::I64, {0, 4}, {})}},
            {"[0, 4]", "at least one"});
  expectBad({{"input_ids", tensor<int64_t>(DType::I64, {4, 0}, {})}},
            {"[4, 0]", "at least one"});
  expectBad(
      {{"input_ids", tensor<int64_t>(DType::I64, {2, 2}, {0, 1, 256, 2})}},
      {"input_ids[1, 0] is 256", "[0, 256)"});
  expectBad({{"input_ids", tensor<int64_t>(DType::I64, {1, 2}, {3, -1})}},
            {"input_ids[0, 1] is -1"});
  expectBad(
      {{"input_ids", tensor<int64_t>(DType::I64, {1, 1}, {int64_t(1) << 32})}},
      {"4294967296"});
}

TEST_F(RunCommandTest, BadStates) {
  Tensors start = forward({{"input_ids", ids(1, 3)}});
  Tensors good = {{"input_ids", ids(1, 3)},
                  {"state.0", start["state.0"]},
                  {"state.1", start["state.1"]},
                  {"position", start["position"]}};
  Tensors input = good;
  input.erase("position");
  expectBad(input, {"states but no position"});
  input = good;
  input.erase("state.0");
  expectBad(input, {"lacks state.0"});
  input.erase("state.1");
  expectBad(input, {"position but no states"});
  input = good;
  input["state.1"].shape = {1, 2, 3, 2};
  expectBad(input, {"state.1 is F32 [1, 2, 3, 2], expected F32 [1, 2, 2, 3]"});
  input = good;
  input["input_ids"] = ids(2, 3);
  expectBad(input, {"state.0", "expected F32 [2, 2, 2, 3]"});
  input = good;
  input["state.0"].dtype = DType::I32;
  expectBad(input, {"state.0 is I32"});
  for (auto [value, word] :
       {std::pair(HUGE_VALF, "infinity"), std::pair(-HUGE_VALF, "-infinity"),
        std::pair(std::nanf(""), "nan")}) {
    input = good;
    auto numbers = values<float>(good["state.1"]);
    numbers[8] = value;
    input["state.1"] = tensor(DType::F32, good["state.1"].shape, numbers);
    expectBad(input, {std::string("state.1[0, 1, 0, 2] is ") + word,
                      "expected a finite number"});
  }
  input = good;
  input["position"] = tensor<int64_t>(DType::I64, {}, {-1});
  expectBad(input, {"position is -1"});
  input["position"] = tensor<int64_t>(DType::I64, {3}, {1, 1, 1});
  expectBad(input, {"position is I64 [3]"});
  input["position"] = tensor<float>(DType::F32, {}, {1});
  expectBad(input, {"position is F32 []"});
  input = good;
  input["state.2"] = good["state.1"];
  input["surprise"] = good["state.1"];
  expectBad(input,
            {"unknown tensors", "state.2", "surprise", "state.0 to state.1"});
}

TEST_F(RunCommandTest, BadFiles) {
  std::string good = save("in", {{"input_ids", ids(1, 3)}});
  expectBadInput({"run", "--input", path("none"), "--output", path("out")},
                 {path("none")});
  expectBadInput({"run", "--input", write("cut", read(good).substr(0, 20)),
                  "--output", path("out")},
                 {path("cut")});
  expectBadInput({"run", "--input", good, "--output", path("no/folder/out")},
                 {"no/folder/out"});
  expectBadInput({"run", "--input", good, "--output", folder.string()},
                 {folder.string()});
  expectBadInput({"run", "--input", good, "--output", "/dev/full"},
                 {"/dev/full"});
  EXPECT_EQ(fileCount(), 2);
}

} // namespace
} // namespace tnrt::test
