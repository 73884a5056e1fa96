// Bad configs: what is wrong, where, and what was expected.
#include "TestSupport.h"

using namespace tnllm;

namespace {
class ConfigErrorTest : public SpecTest {
protected:
  void expectError(llvm::StringRef yaml, const std::string &message) {
    EXPECT_EQ(errorOfYaml(yaml), "spec.yaml:" + message) << yaml.str();
  }
};

TEST_F(ConfigErrorTest, UnknownKeysSuggestTheNearest) {
  expectError("vocab_sise: 5",
              "1:1: error: unknown key 'vocab_sise'; did you mean "
              "'vocab_size'?");
  expectError("name: a\nquux_frobnication: 5",
              "2:1: error: unknown key 'quux_frobnication'");
}

TEST_F(ConfigErrorTest, HousekeepingKeysPass) {
  EXPECT_EQ(errorOfJson(R"({"architectures": ["TransnormerForCausalLM"],
    "model_type": "transnormer", "torch_dtype": "bfloat16", "use_cache": true,
    "transformers_version": "4.31.0", "auto_map": {"AutoConfig": "x.Y"},
    "_name_or_path": "", "attn_implementation": null})"),
            "");
}

TEST_F(ConfigErrorTest, AllProblemsAreListed) {
  EXPECT_EQ(
      errorOfJson("{\n \"vocab_size\": 0,\n \"decoder_layers\": \"3\",\n"
                  " \"bias\": 1,\n \"init_stdd\": 0.1\n}"),
      "config.json:2:16: error: 'vocab_size' must be an integer from 1 to "
      "16777216, found 0\n"
      "config.json:3:20: error: 'decoder_layers' must be an integer from "
      "1 to 4096, found \"3\"\n"
      "config.json:4:10: error: 'bias' must be true or false, found 1\n"
      "config.json:5:2: error: unknown key 'init_stdd'; did you mean "
      "'init_std'?");
}

TEST_F(ConfigErrorTest, SizesOutOfRange) {
  for (const char *key : {"vocab_size", "decoder_embed_dim", "decoder_layers",
                          "decoder_attention_heads", "hidden_dim", "glu_dim"})
    for (const char *value : {"0", "-2", "1.5", "99999999999999999999999", "x",
                              "null", "[1]", "{a: 1}", "1e3", "''", "true"}) {
      std::string text = errorOfYaml(std::string(key) + ": " + value);
      EXPECT_NE(text.find(std::string("'") + key + "' must be an integer"),
                std::string::npos)
          << key << ": " << value << " gives " << text;
    }
  expectError("hidden_dim: -1", "1:13: error: 'hidden_dim' must be an integer "
                                "from 1 to 1048576, found -1");
}

TEST_F(ConfigErrorTest, NumbersOutOfRange) {
  for (const char *key : {"norm_eps", "attention_scale", "embedding_scale"})
    for (const char *value : {"0", "-1", ".nan", "NaN", ".inf", "1e999", "0x10",
                              "null", "[]", "'1'", "1.2.3"}) {
      std::string text = errorOfYaml(std::string(key) + ": " + value);
      EXPECT_NE(text.find("must be a number above 0"), std::string::npos)
          << key << ": " << value << " gives " << text;
    }
  expectError("init_std: -0.1",
              "1:11: error: 'init_std' must be a number of at "
              "least 0, found -0.1");
}

TEST_F(ConfigErrorTest, UnknownValues) {
  expectError("linear_act_fun: sillu",
              "1:17: error: 'linear_act_fun' must be one of none, silu, gelu, "
              "relu, elu, sigmoid, exp, 1+elu, 2+elu, leak, swish, found "
              "sillu; did you mean 'silu'?");
  expectError("norm_type: batchnorm",
              "1:12: error: 'norm_type' must be one of simplermsnorm, rmsnorm, "
              "layernorm, found batchnorm; did you mean 'layernorm'?");
  expectError(
      "decay: {rule: [a]}",
      "1:15: error: 'decay' must be one of transnormer, headwise, none, "
      "explicit, found a list");
}

TEST_F(ConfigErrorTest, Contradictions) {
  expectError("hidden_dim: 100\ndecoder_attention_heads: 8",
              "1:13: error: 'hidden_dim' 100 is not a multiple of "
              "decoder_attention_heads, 8");
  expectError("{decoder_layers: 2, hidden_dim: 512, "
              "linear_use_lrpe_list: [0, 1]}",
              "1:33: error: 'hidden_dim' 512 differs from decoder_embed_dim "
              "1024, which LRPE (linear_use_lrpe_list) does not allow");
  EXPECT_EQ(errorOfYaml("{decoder_layers: 2, hidden_dim: 512, "
                        "linear_use_lrpe_list: [0, 0]}"),
            "");
  expectError(
      "{decoder_layers: 3, linear_use_lrpe_list: [1]}",
      "1:43: error: 'linear_use_lrpe_list' has 1 entries; expected none "
      "or one per layer, 3");
  expectError("{decoder_layers: 2, linear_use_lrpe_list: [1, 2]}",
              "1:47: error: 'linear_use_lrpe_list' must be a list of 0 and 1, "
              "found 2");
  expectError("{norm_bias: true}", "1:13: error: 'norm_bias' is true, but "
                                   "simplermsnorm has no parameters");
  expectError("{no_scale_embedding: true, embedding_scale: 2}",
              "1:45: error: 'embedding_scale' is not 1, but no_scale_embedding "
              "is true");
  expectError("{add_bos_token: true, bos_token_id: null}",
              "1:17: error: 'add_bos_token' is true, but there is no "
              "bos_token_id");
  expectError("{vocab_size: 256, eos_token_id: [3, 256]}",
              "1:37: error: 'eos_token_id' must be an integer from 0 to 255, "
              "found 256");
}

TEST_F(ConfigErrorTest, Decay) {
  std::string sizes = "decoder_layers: 2\ndecoder_attention_heads: 2\n";
  expectError(sizes + "decay: explicit",
              "3:8: error: 'decay' is explicit, but has no 'slopes'");
  expectError(sizes + "decay: {slopes: [1, 2]}",
              "3:8: error: 'decay' has no 'rule'");
  expectError(sizes + "decay: {rule: none, slopes: [1, 2]}",
              "3:29: error: 'slopes' belong to the rule explicit, but the rule "
              "is none");
  expectError(sizes + "decay: {rule: explicit, slopes: [[1, 2]]}",
              "3:33: error: 'slopes' has 1 lists; expected one per layer, 2");
  expectError(sizes + "decay: {rule: explicit, slopes: [1, 2, 3]}",
              "3:33: error: 'slopes' must hold one number per head, 2, in each "
              "layer; found 3");
  expectError(sizes + "decay: {rule: explicit, slopes: [1, -2]}",
              "3:37: error: 'slopes' must be a number of at least 0, found -2");
  expectError(sizes + "decay: {rule: explicit, slope: 1}",
              "3:25: error: unknown key 'slope' of 'decay'; expected rule, "
              "slopes\nspec.yaml:3:15: error: 'decay' is explicit, but has no "
              "'slopes'");
}

TEST_F(ConfigErrorTest, AblationsAndBaselines) {
  expectError("attention: full",
              "1:12: error: 'attention' must be one of linear, softmax, diag, "
              "found full");
  expectError("{decoder_layers: 2, attention: [diag, linear, softmax]}",
              "1:32: error: 'attention' has 3 entries; expected one per layer, "
              "2");
  expectError("{decoder_layers: 2, attention: [diag, 1]}",
              "1:39: error: 'attention' must be one of linear, softmax, diag, "
              "found 1");
  expectError("attention_block: 0", "1:18: error: 'attention_block' must be an "
                                    "integer from 1 to 1048576, found 0");
  expectError("max_position_embeddings: 1048577",
              "1:26: error: 'max_position_embeddings' must be an integer from "
              "1 to 1048576, found 1048577");
  expectError("softmax_scale: -1", "1:16: error: 'softmax_scale' must be a "
                                   "number above 0, found -1");
  expectError("glu_act_fun: exp",
              "1:14: error: 'glu_act_fun' must be one of none, silu, gelu, "
              "relu, elu, sigmoid, 1+elu, 2+elu, leak, swish, found exp; did "
              "you mean 'elu'?");
  expectError("gate: 1", "1:7: error: 'gate' must be true or false, found 1");
  expectError("position_encoding: alibi",
              "1:20: error: 'position_encoding' must be one of lrpe-d, mix, "
              "decay, lrpe, absolute, rope, none, found alibi");
  expectError("position_encoding: mix\ndecay: none",
              "1:20: error: 'position_encoding' is short for other keys, of "
              "which decay is given too; expected one of the two");
  expectError("{decoder_layers: 1, rope_theta: 100, linear_use_lrpe_list: [1]}",
              "1:33: error: RoPE and LRPE (linear_use_lrpe_list) are both "
              "given; expected one of the two");
  expectError("{hidden_dim: 24, decoder_attention_heads: 8, "
              "position_encoding: rope}",
              "1:65: error: RoPE turns pairs of elements, but a head is 3 wide "
              "(hidden_dim / decoder_attention_heads); expected an even width");
  expectError("rope_theta: 0",
              "1:13: error: 'rope_theta' must be a number above 0, found 0");
}

TEST_F(ConfigErrorTest, OtherArchitecturesGetOneMessage) {
  EXPECT_EQ(errorOfJson(R"({"model_type": "llama", "hidden_size": 4096})"),
            "config.json:1:16: error: 'model_type' must be transnormer, found "
            "\"llama\"");
  EXPECT_EQ(errorOfJson(R"({"architectures": ["LlamaForCausalLM"]})"),
            "config.json:1:20: error: 'architectures' must be "
            "[TransnormerForCausalLM], found \"LlamaForCausalLM\"");
}

TEST_F(ConfigErrorTest, QuantisedCheckpointsAreRefused) {
  EXPECT_NE(errorOfJson(R"({"quantization_config": {"bits": 4}})")
                .find("quantised checkpoints are not supported"),
            std::string::npos);
}

TEST_F(ConfigErrorTest, AbsurdTotals) {
  EXPECT_NE(errorOfYaml("{decoder_embed_dim: 1048576, hidden_dim: 1048576, "
                        "glu_dim: 4194304, decoder_layers: 4096}")
                .find("parameters; at most"),
            std::string::npos);
}

TEST_F(ConfigErrorTest, Syntax) {
  EXPECT_EQ(errorOfJson("{\"vocab_size\": 256,\n"),
            "config.json:2:1: error: not valid JSON: Expected object key");
  EXPECT_EQ(errorOfJson("{\"norm_eps\": NaN}"),
            "config.json:1:15: error: not valid JSON: Invalid JSON value");
  EXPECT_NE(errorOfJson("").find("not valid JSON"), std::string::npos);
  EXPECT_EQ(errorOfJson(std::string(100000, '[')),
            "config.json:1:33: error: the file nests too deeply");
  EXPECT_EQ(errorOfYaml(std::string(100000, '[')),
            "spec.yaml:1:34: error: the file nests too deeply");
  EXPECT_EQ(errorOfYaml("a\xFF: 1"),
            "spec.yaml:1:2: error: the file is not UTF-8 text");
  EXPECT_EQ(errorOfYaml(llvm::StringRef("a: \0", 4)),
            "spec.yaml:1:4: error: the file is not UTF-8 text");
  EXPECT_EQ(errorOfYaml("- 1\n- 2"),
            "spec.yaml:1:1: error: expected a mapping of keys to values, found "
            "a list");
  EXPECT_EQ(errorOfYaml("bias: true\nbias: false"),
            "spec.yaml:2:1: error: 'bias' is given twice, first on line 1");
  EXPECT_NE(errorOfYaml("a: [1, 2").find("spec.yaml:1:"), std::string::npos);
  EXPECT_NE(errorOfYaml("a: *b").find("error: "), std::string::npos);
  EXPECT_EQ(errorOfYaml("bias: true\n---\nbias: false"),
            "spec.yaml:1:1: error: the file holds more than one document");
}

TEST_F(ConfigErrorTest, Paths) {
  EXPECT_EQ(errorOf(folder + "/none"),
            "none: error: No such file or directory");
  EXPECT_EQ(errorOf(write("model.bin", "x")),
            "model.bin: error: expected a directory, a .yaml file or a .json "
            "file");
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder + "/empty"));
  EXPECT_EQ(errorOf(folder + "/empty"),
            "empty: error: the directory has no config.json");
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder + "/odd.yaml"));
  EXPECT_EQ(errorOf(folder + "/odd.yaml"),
            "odd.yaml: error: the directory has no config.json");
}
} // namespace
