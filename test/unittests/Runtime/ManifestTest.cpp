// The manifest's reader.
#include "core/Manifest.h"

#include "FakeModule.h"
#include "FakeTrainer.h"
#include "TestFiles.h"

using namespace tnrt;
using namespace tnrt::test;

namespace {

std::string errorWith(const std::string &from, const std::string &to) {
  std::string text = fake::manifestText({});
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  Result<Manifest> manifest = Manifest::parse(text);
  return manifest ? "" : manifest.message();
}

TEST(Manifest, ReadsEveryField) {
  fake::Config config;
  config.required = R"("avx2", "fma")";
  config.weights = R"({"kind": "link", "path": "/w"})";
  config.tokenizer = R"({"kind": "sentencepiece", "path": "/t"})";
  Result<Manifest> manifest = Manifest::parse(fake::manifestText(config));
  ASSERT_TRUE(manifest) << manifest.message();
  EXPECT_EQ(manifest->abi, TNRT_ABI_VERSION);
  EXPECT_EQ(manifest->fingerprint, "00112233445566778899aabbccddeeff");
  EXPECT_EQ(manifest->target.march, "x86-64-v4");
  EXPECT_EQ(manifest->target.required,
            (std::vector<std::string>{"avx2", "fma"}));
  EXPECT_EQ(manifest->dtype, DType::F32);
  EXPECT_EQ(manifest->name, "fake");
  EXPECT_EQ(manifest->vocabSize, 256);
  EXPECT_EQ(manifest->width, 16);
  EXPECT_EQ(manifest->eosTokenId, 2);
  EXPECT_EQ(manifest->capacity.headRows, 4);
  EXPECT_EQ(manifest->states.size(), 2u);
  EXPECT_EQ(manifest->states[1].elements(), 12);
  ASSERT_EQ(manifest->parameters.size(), 2u);
  EXPECT_EQ(manifest->parameters[1].layout,
            (Layout{Layout::Kind::Panels, 8, 1}));
  EXPECT_EQ(manifest->parameters[1].shape, (std::vector<int64_t>{256, 16}));
  EXPECT_EQ(manifest->parameters[0].init.std, 0.5);
  EXPECT_EQ(manifest->probes, std::vector<std::string>{"hidden.0"});
  EXPECT_EQ(manifest->probeShapes,
            (std::vector<std::vector<int64_t>>{{manifest->width}}));
  EXPECT_EQ(manifest->weights.path, "/w");
  EXPECT_EQ(manifest->tokenizer.kind, Manifest::Tokenizer::Kind::Sentencepiece);
  EXPECT_EQ(manifest->raw["model"]["glu_dim"], 16);
}

TEST(Manifest, ReadsTheShapesOfProbes) {
  auto with = [](const std::string &shapes) {
    std::string text = fake::manifestText({});
    std::string key = "\"probes\":";
    return text.replace(text.find(key), key.size(),
                        "\"probe_shapes\": " + shapes + ", " + key);
  };
  auto manifest = Manifest::parse(with("[[4, 16]]"));
  ASSERT_TRUE(manifest) << manifest.message();
  EXPECT_EQ(manifest->probeShapes,
            (std::vector<std::vector<int64_t>>{{4, 16}}));
  EXPECT_TRUE(contains(Manifest::parse(with("[]")).message(),
                       "manifest: probe_shapes: expected one for each of the 1 "
                       "probes, found 0"));
  for (const char *bad :
       {"7", "[7]", "[[0]]", "[[\"a\"]]", "[[4611686018427387904, 4]]"})
    EXPECT_TRUE(contains(Manifest::parse(with(bad)).message(),
                         "manifest: probe_shapes: expected a list"))
        << bad;
}

TEST(Manifest, ReadsTheCapacityOfATrainer) {
  const std::string text = fake::trainerManifest();
  auto manifest = Manifest::parse(text);
  ASSERT_TRUE(manifest) << manifest.message();
  EXPECT_TRUE(manifest->isTraining());
  EXPECT_EQ(manifest->training.maxTokens, 12);
  EXPECT_EQ(manifest->training.maxSequences, 2);
  EXPECT_EQ(manifest->training.amp, Manifest::Training::Amp::Off);
  EXPECT_TRUE(manifest->states.empty());
  EXPECT_FALSE(Manifest::parse(fake::manifestText({}))->isTraining());

  auto replaced = [&](const std::string &from, const std::string &to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return Manifest::parse(changed).message();
  };
  EXPECT_TRUE(contains(replaced("\"max_sequences\": 2", "\"max_sequences\": 0"),
                       "manifest: training.max_sequences: expected an integer "
                       "of at least 1"));
  EXPECT_TRUE(contains(replaced("\"max_sequences\": 2",
                                "\"max_sequences\": 2, \"amp\": \"fp8\""),
                       "manifest: training.amp: expected one of 'off', 'bf16', "
                       "found 'fp8'"));
  auto mixed = text;
  mixed.replace(mixed.find("\"max_sequences\""), 0, "\"amp\": \"bf16\", ");
  EXPECT_EQ(Manifest::parse(mixed)->training.amp,
            Manifest::Training::Amp::BF16);
  EXPECT_TRUE(contains(replaced("\"f32\", \"layout\"", "\"bf16\", \"layout\""),
                       "expected f32 in rows to train, found another type or "
                       "layout of 'table'"));
  EXPECT_TRUE(
      contains(replaced("\"tensor\": \"bias\"", "\"tensor\": \"table\""),
               "expected each tensor once to train, found 'table' twice"));
}

TEST(Manifest, SaysWhatIsWrong) {
  EXPECT_TRUE(contains(Manifest::parse("{").message(), "not valid JSON"));
  EXPECT_TRUE(contains(Manifest::parse("[]").message(), "expected an object"));
  EXPECT_TRUE(contains(
      errorWith("\"vocab_size\": 256", "\"vocab_size\": 0"),
      "manifest: model.vocab_size: expected an integer of at least 1"));
  EXPECT_TRUE(contains(errorWith("\"vocab_size\": 256", "\"vocab_size\": 1e30"),
                       "model.vocab_size"));
  EXPECT_TRUE(contains(errorWith("\"prefill_rows\"", "\"fill_rows\""),
                       "capacity.prefill_rows: is missing"));
  EXPECT_TRUE(
      contains(errorWith("\"kind\": \"panels\"", "\"kind\": \"tiles\""),
               "parameters[1].layout.kind: expected one of 'rows', 'panels'"));
  EXPECT_TRUE(contains(errorWith("\"width\": 8", "\"width\": -1"),
                       "parameters[1].layout.width"));
  EXPECT_TRUE(
      contains(errorWith("[256, 16]", "[256, 18446744073709551615]"), "shape"));
  EXPECT_TRUE(contains(errorWith("\"dtype\": \"f32\"", "\"dtype\": \"f8\""),
                       "dtype: expected one of 'f32', 'bf16', 'int8', "
                       "'fp8', 'int4', found 'f8'"));
  EXPECT_TRUE(contains(
      errorWith("\"dtype\": \"f32\", \"init\"", "\"dtype\": \"i4\", \"init\""),
      "parameters[0]: dtype 'i4' needs a multiple of 128 columns"));
  EXPECT_TRUE(contains(errorWith("\"dtype\": \"f32\", \"init\"",
                                 "\"dtype\": \"int8\", \"init\""),
                       "parameters[0].dtype: expected one of 'f32', 'bf16', "
                       "'i8', 'f8e4m3', 'i4', found 'int8'"));
  EXPECT_TRUE(
      contains(errorWith("\"decoder_layers\": 2", "\"decoder_layers\": 3"),
               "expected one for each of the 3 layers, found 2"));
  EXPECT_TRUE(
      contains(errorWith("\"heads\": 2", "\"heads\": 9223372036854775807"),
               "states[0]: is too large"));
  EXPECT_TRUE(
      contains(errorWith("\"seed\": 7", "\"seed\": \"x\""), "weights.seed"));
  EXPECT_TRUE(contains(errorWith("\"std\": 0.5", "\"std\": []"),
                       "parameters[0].init.std: expected a number"));
}

TEST(Manifest, ReadsInt8Weights) {
  std::string text = fake::manifestText({});
  auto replace = [&](const std::string &from, const std::string &to) {
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  };
  replace("\"dtype\": \"f32\"", "\"dtype\": \"int8\"");
  replace("{\"kind\": \"rows\"}", "{\"kind\": \"row_scales\"}");
  const size_t last = text.rfind("\"dtype\": \"f32\"");
  text.replace(last, 14, "\"dtype\": \"i8\"");
  Result<Manifest> manifest = Manifest::parse(text);
  ASSERT_TRUE(manifest) << manifest.message();
  EXPECT_EQ(manifest->dtype, DType::I8);
  EXPECT_EQ(manifest->parameters[0].dtype, DType::F32);
  EXPECT_EQ(manifest->parameters[0].layout, (Layout{Layout::Kind::RowScales}));
  EXPECT_EQ(manifest->parameters[1].dtype, DType::I8);
  EXPECT_EQ(manifest->parameters[1].layout,
            (Layout{Layout::Kind::Panels, 8, 1}));
}

TEST(Manifest, AllTruncationsAreRefused) {
  const std::string text = fake::manifestText({});
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(Manifest::parse(std::string_view(text).substr(0, size)))
        << size;
}

} // namespace
