// A config together with its checkpoint and tokenizer.
#include "TestSupport.h"

using namespace tnllm;

namespace {
const char *const config = R"({"decoder_layers": 2, "decoder_embed_dim": 8,
 "hidden_dim": 8, "decoder_attention_heads": 2, "glu_dim": 12, "vocab_size": 10,
 "linear_use_lrpe_list": [1, 0])";

class LoadModelTest : public SpecTest {
protected:
  static std::string withKeys(const std::string &more = "") {
    return config + (more.empty() ? "" : ", " + more) + "}";
  }
  Tensors tensorsFor(const std::string &more = "") {
    return tensorsOf(parse(withKeys(more)));
  }
  // The model of a config and a checkpoint that belong together.
  LoadedModel loaded(const std::string &keys, const Tensors &tensors) {
    auto model = loadWith(withKeys(keys), tensors);
    if (model)
      return std::move(*model);
    ADD_FAILURE() << llvm::toString(model.takeError());
    return LoadedModel();
  }
  std::string failure(const std::string &keys, const Tensors &tensors) {
    auto model = loadWith(withKeys(keys), tensors);
    if (!model)
      llvm::consumeError(model.takeError());
    return errorOf(folder);
  }
};

TEST_F(LoadModelTest, DirectoryWithEverything) {
  write("tokenizer.model", piecesFile(10));
  LoadedModel model = loaded("", tensorsFor());
  EXPECT_EQ(model.configPath, folder + "/config.json");
  EXPECT_EQ(model.weightsPath, folder);
  EXPECT_EQ(model.tokenizerPath, folder + "/tokenizer.model");
  EXPECT_TRUE(model.warnings.empty());
  EXPECT_EQ("/" + model.spec.name, folder.substr(folder.rfind('/')));
  // However the directory is spelt.
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder + "/sub"));
  auto same = loadModel(folder + "/sub/../");
  ASSERT_TRUE(bool(same)) << llvm::toString(same.takeError());
  EXPECT_EQ(same->spec.name, model.spec.name);
}

TEST_F(LoadModelTest, EveryFloatDtype) {
  for (tnrt::DType dtype :
       {tnrt::DType::F32, tnrt::DType::F16, tnrt::DType::BF16})
    loaded("", tensorsOf(parse(withKeys()), dtype));
}

TEST_F(LoadModelTest, AllUnfitTensorsAreListed) {
  Tensors tensors = tensorsFor();
  erase(tensors, "model.layers.1.token_mixer.out_proj.weight");
  erase(tensors, "lm_head.weight");
  for (tnrt::TensorSpec &tensor : tensors) {
    if (tensor.name == "model.embed_tokens.weight")
      tensor.shape = {8, 10};
    if (tensor.name == "model.layers.0.channel_mixer.l3.weight")
      tensor.shape = {8, 12, 1};
    if (tensor.name == "model.layers.0.token_mixer.lrpe.theta")
      tensor.dtype = tnrt::DType::I32;
  }
  std::string text = failure("", tensors);
  EXPECT_EQ(text, folder +
                      ": error: 2 tensors are missing:\n"
                      "  model.layers.1.token_mixer.out_proj.weight [8, 8]\n"
                      "  lm_head.weight [10, 8]\n" +
                      folder +
                      ": error: 2 tensors have other shapes than the config "
                      "says:\n"
                      "  model.embed_tokens.weight: expected [10, 8], found "
                      "[8, 10]\n"
                      "  model.layers.0.channel_mixer.l3.weight: expected "
                      "[8, 12], found [8, 12, 1]\n" +
                      folder +
                      ": error: 1 tensor has a dtype that weights cannot "
                      "have:\n"
                      "  model.layers.0.token_mixer.lrpe.theta: expected F32, "
                      "F16 or BF16, found I32");
}

TEST_F(LoadModelTest, AnAbsentHeadIsTied) {
  Tensors tensors = tensorsFor();
  erase(tensors, "lm_head.weight");
  LoadedModel model = loaded("", tensors);
  EXPECT_TRUE(model.spec.tiedHead);
  EXPECT_TRUE(model.warnings.empty());
  model = loaded("\"tie_word_embeddings\": false", tensors);
  EXPECT_TRUE(model.spec.tiedHead);
  EXPECT_EQ(model.warnings.size(), 1u);
}

TEST_F(LoadModelTest, ATiedModelIgnoresAStoredHead) {
  LoadedModel model = loaded("\"tie_word_embeddings\": true", tensorsFor());
  EXPECT_TRUE(model.spec.tiedHead);
  ASSERT_EQ(model.warnings.size(), 1u);
  EXPECT_NE(model.warnings[0].find("lm_head.weight is not used"),
            std::string::npos);
}

TEST_F(LoadModelTest, SurplusTensorsAreNamed) {
  Tensors tensors = tensorsFor();
  tensors.push_back({"model.slopes", tnrt::DType::F32, {2, 1, 1}});
  tensors.push_back(
      {"model.layers.0.token_mixer.lrpe.index", tnrt::DType::I64, {4}});
  EXPECT_TRUE(loaded("", tensors).warnings.empty());
  tensors.push_back({"adapter.weight", tnrt::DType::F32, {4}});
  LoadedModel model = loaded("", tensors);
  ASSERT_EQ(model.warnings.size(), 1u);
  EXPECT_NE(model.warnings[0].find("\n  adapter.weight"), std::string::npos);
}

TEST_F(LoadModelTest, TheFirstLayersOfADeeperCheckpoint) {
  Tensors tensors = tensorsFor();
  write("spec.yaml", "{}");
  LoadedModel model =
      loaded("\"name\": \"x\"", tensors); // fits; now with one layer fewer
  std::string one = "{\"decoder_layers\": 1, \"decoder_embed_dim\": 8, "
                    "\"hidden_dim\": 8, \"decoder_attention_heads\": 2, "
                    "\"glu_dim\": 12, \"vocab_size\": 10, "
                    "\"linear_use_lrpe_list\": [1]}";
  auto shallow = loadWith(one, tensors);
  ASSERT_TRUE(bool(shallow)) << llvm::toString(shallow.takeError());
  ASSERT_EQ(shallow->warnings.size(), 1u);
  EXPECT_NE(shallow->warnings[0].find("more layers than the 1"),
            std::string::npos);
}

TEST_F(LoadModelTest, TensorsThatContradictTheConfigAreErrors) {
  EXPECT_NE(failure("", tensorsFor("\"bias\": true"))
                .find("error: 10 tensors contradict the config:\n  "
                      "model.layers.0.token_mixer.qkvu_proj.bias, but bias is "
                      "false\n"),
            std::string::npos);
  EXPECT_NE(failure("", tensorsFor("\"norm_type\": \"rmsnorm\""))
                .find("model.final_norm.weight, but norm_type is "
                      "simplermsnorm"),
            std::string::npos);
  Tensors tensors = tensorsFor();
  tensors.push_back(
      {"model.layers.1.token_mixer.lrpe.theta", tnrt::DType::F32, {2, 1, 4}});
  EXPECT_NE(failure("", tensors)
                .find("1 tensor contradicts the config:\n  "
                      "model.layers.1.token_mixer.lrpe.theta, "
                      "but linear_use_lrpe_list"),
            std::string::npos);
}

TEST_F(LoadModelTest, TensorsOfAnotherVariantContradictToo) {
  auto contradiction = [&](const std::string &keys, const std::string &other) {
    return failure(keys, tensorsFor(other));
  };
  EXPECT_NE(contradiction("\"gate\": false", "")
                .find("model.layers.0.token_mixer.qkvu_proj.weight, but gate "
                      "is false"),
            std::string::npos);
  EXPECT_NE(contradiction("", "\"gate\": false")
                .find("model.layers.1.token_mixer.qkv_proj.weight, but gate is "
                      "true"),
            std::string::npos);
  EXPECT_NE(contradiction("", "\"absolute_positions\": true")
                .find("model.embed_positions.weight, but absolute_positions is "
                      "false"),
            std::string::npos);
  EXPECT_NE(
      contradiction("\"norm_type\": \"rmsnorm\", \"attention\": \"softmax\"",
                    "\"norm_type\": \"rmsnorm\"")
          .find("model.layers.0.token_mixer.norm.weight, but attention is not "
                "linear there"),
      std::string::npos);
}

TEST_F(LoadModelTest, RmsNormWithBiasesWasTrainedAsLayerNorm) {
  std::string rms = "\"norm_type\": \"rmsnorm\"";
  std::string layer = "\"norm_type\": \"layernorm\"";
  LoadedModel model = loaded(rms, tensorsFor(layer));
  EXPECT_EQ(model.spec.norm, NormKind::Layer);
  EXPECT_EQ(model.spec.normEps, 1e-5);
  EXPECT_TRUE(model.spec.normBias);

  model = loaded(rms, tensorsFor(rms));
  EXPECT_EQ(model.spec.norm, NormKind::Rms);
  EXPECT_EQ(model.spec.normEps, 1e-6);
  EXPECT_FALSE(model.spec.normBias);

  // Said explicitly, the file is believed.
  std::string biased = rms + ", \"norm_bias\": true";
  model = loaded(biased, tensorsFor(biased));
  EXPECT_EQ(model.spec.norm, NormKind::Rms);
  EXPECT_TRUE(model.spec.normBias);

  model = loaded(rms + ", \"norm_eps\": 0.125", tensorsFor(layer));
  EXPECT_EQ(model.spec.normEps, 0.125);
}

TEST_F(LoadModelTest, LayerNormBiasesAreAsTheCheckpointHasThem) {
  std::string layer = "\"norm_type\": \"layernorm\"";
  EXPECT_TRUE(loaded(layer, tensorsFor(layer)).spec.normBias);
  Tensors bare = tensorsFor(layer + ", \"norm_bias\": false");
  EXPECT_FALSE(loaded(layer, bare).spec.normBias);
  EXPECT_NE(failure(layer + ", \"norm_bias\": true", bare)
                .find("7 tensors are missing"),
            std::string::npos);
  // One bias means that all were meant to be there.
  bare.push_back({"model.final_norm.bias", tnrt::DType::F32, {8}});
  EXPECT_NE(failure(layer, bare).find("6 tensors are missing"),
            std::string::npos);
}

TEST_F(LoadModelTest, WithoutWeights) {
  write("config.json", withKeys());
  EXPECT_NE(errorOf(folder).find("there are no weights here"),
            std::string::npos);
  EXPECT_EQ(errorOf(folder, /*useWeights=*/false), "");
  EXPECT_EQ(errorOf(write("spec.yaml", "{}")),
            "spec.yaml: error: the spec names no 'weights'; add them, or ask "
            "for random weights");
  EXPECT_NE(errorOf(write("bad.yaml", "weights: nowhere")).find("nowhere"),
            std::string::npos);
}

TEST_F(LoadModelTest, YamlNamesFilesRelativeToItself) {
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder + "/sub"));
  write("sub/tokenizer.model", piecesFile(1));
  writeCheckpoint("sub/weights.safetensors", tensorsFor());
  std::string yaml =
      write("it.yaml", withKeys("\"weights\": \"sub/weights.safetensors\""));
  auto model = loadModel(yaml);
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  EXPECT_EQ(model->weightsPath, folder + "/sub/weights.safetensors");
  EXPECT_EQ(model->tokenizerPath, folder + "/sub/tokenizer.model");
  EXPECT_EQ(model->spec.name, "it");
  model = loadModel(write("raw.yaml", "tokenizer: bytes"), {false});
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  EXPECT_EQ(model->tokenizerPath, std::nullopt);
  EXPECT_NE(errorOf(write("no.yaml", "tokenizer: gone.model"), false)
                .find("gone.model: error: No such file or directory"),
            std::string::npos);
}

TEST_F(LoadModelTest, TheTokenizerIsASentencePieceModel) {
  std::string path = write("config.json", withKeys());
  auto errorWith = [&](llvm::StringRef bytes) {
    write("tokenizer.model", bytes);
    return errorOf(path, false);
  };
  EXPECT_EQ(errorWith(piecesFile(10)), "");
  EXPECT_EQ(
      errorWith(piecesFile(11)),
      "tokenizer.model: error: the tokenizer has 11 pieces, but vocab_size "
      "is 10; expected at most that many");
  EXPECT_EQ(errorWith(""), "tokenizer.model: error: not a sentencepiece model: "
                           "the file is empty");
  EXPECT_EQ(errorWith("root:x:0:0:root:/root:/bin/bash\n"),
            "tokenizer.model: error: not a sentencepiece model: malformed at "
            "byte 0");
  ASSERT_FALSE(llvm::sys::fs::remove(folder + "/tokenizer.model"));
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder + "/tokenizer.model"));
  EXPECT_EQ(errorOf(path, false), "tokenizer.model: error: not a regular file; "
                                  "expected a sentencepiece model");
  ASSERT_FALSE(llvm::sys::fs::remove(folder + "/tokenizer.model"));
  ASSERT_FALSE(
      llvm::sys::fs::create_link("nowhere", folder + "/tokenizer.model"));
  EXPECT_EQ(errorOf(path, false), "tokenizer.model: error: No such file or "
                                  "directory; expected a sentencepiece model");
}

TEST_F(LoadModelTest, WhatItIsMadeOf) {
  write("tokenizer.model", piecesFile(3));
  write("model.safetensors", "");
  write("model.safetensors.index.json", "");
  write("notes.txt", "");
  auto model = loadModel(write("config.json", withKeys()), {false});
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  std::vector<std::string> inputs = model->inputs;
  std::sort(inputs.begin(), inputs.end());
  EXPECT_EQ(inputs, (std::vector<std::string>{
                        folder + "/config.json", folder + "/model.safetensors",
                        folder + "/model.safetensors.index.json",
                        folder + "/tokenizer.model"}));
}

TEST_F(LoadModelTest, WeightsThatAreNoFile) {
  write("config.json", withKeys());
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder + "/model.safetensors"));
  EXPECT_EQ(errorOf(folder), "model.safetensors: error: not a regular file");
}

TEST_F(LoadModelTest, NamesAndPathsStayOnOneLine) {
  EXPECT_EQ(errorOfYaml("name: \"\""), "spec.yaml:1:7: error: 'name' must be a "
                                       "string that is not empty, found \"\"");
  EXPECT_EQ(errorOfYaml("name: \"a\\x1Bb\""),
            "spec.yaml:1:7: error: 'name' must not hold control characters, "
            "found \"a\\x1Bb\"");
  EXPECT_EQ(errorOf("no\nwhere.yaml"),
            "no\\nwhere.yaml: error: No such file or directory");
  auto model = loadModel(write("a\nb\xFF.yaml", "{}"), {false});
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  EXPECT_EQ(model->spec.name, "a\\nb\xEF\xBF\xBD");
}

TEST_F(LoadModelTest, Shards) {
  Tensors tensors = tensorsFor();
  Tensors first(tensors.begin(), tensors.begin() + 4);
  Tensors second(tensors.begin() + 4, tensors.end());
  std::string map;
  auto shard = [&](const std::string &file, const Tensors &part) {
    writeCheckpoint(file, part);
    for (const tnrt::TensorSpec &tensor : part)
      map +=
          (map.empty() ? "\"" : ", \"") + tensor.name + "\": \"" + file + "\"";
  };
  shard("model-00001-of-00002.safetensors", first);
  shard("model-00002-of-00002.safetensors", second);
  write("model.safetensors.index.json", "{\"weight_map\": {" + map + "}}");
  write("config.json", withKeys());
  auto model = loadModel(folder);
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  EXPECT_EQ(model->weightsPath, folder);
}

TEST_F(LoadModelTest, DamagedWeightsNameTheFile) {
  write("config.json", withKeys());
  write("model.safetensors", "short");
  EXPECT_EQ(errorOf(folder),
            "model.safetensors: not a safetensors file: it has "
            "5 bytes, expected at least 8");
}

TEST(Examples, AllSpecsLoad) {
  struct Size {
    const char *name;
    int64_t layers, width, heads, glu;
  };
  for (Size size : {Size{"385m", 24, 1024, 8, 2816},
                    {"1b", 16, 2048, 16, 5632},
                    {"7b", 30, 4096, 32, 11008},
                    {"175b", 90, 12288, 96, 32768}}) {
    std::string path =
        std::string(TNLLM_EXAMPLES) + "/specs/" + size.name + ".yaml";
    auto model = loadModel(path, {/*useWeights=*/false});
    ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
    const ModelSpec &spec = model->spec;
    EXPECT_EQ(spec.heads, size.heads);
    EXPECT_EQ(spec.keyWidth(0), 256);
    EXPECT_EQ(spec.keyWidth(1), 128);
    int64_t layer = 5 * size.width * size.width + 3 * size.width * size.glu;
    EXPECT_EQ(spec.numParameters(),
              size.layers * layer + 2 * 64000 * size.width + size.width);
  }
  auto tiny = loadModel(std::string(TNLLM_EXAMPLES) + "/tiny");
  ASSERT_TRUE(bool(tiny)) << llvm::toString(tiny.takeError());
  EXPECT_TRUE(tiny->warnings.empty());
}

TEST(Examples, AGoldenConfigLoads) {
  auto model = loadModel(TNLLM_SPEC_INPUTS "/tiny", {/*useWeights=*/false});
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  EXPECT_EQ(model->spec.embedDim, 64);
  EXPECT_EQ(model->spec.keyWidth(0), 32);
  EXPECT_EQ(model->spec.keyWidth(2), 16);
}
} // namespace
