// What a spec says once it is read: defaults, slopes, parameters, its JSON.
#include "TestSupport.h"

#include "llvm/Support/JSON.h"

#include <cmath>

using namespace tnllm;

namespace {
class ModelSpecTest : public SpecTest {};

TEST(HeadSlopes, PowersOfTwo) {
  EXPECT_EQ(headSlopes(1), std::vector<double>({std::exp2(-8.0)}));
  EXPECT_EQ(headSlopes(2),
            std::vector<double>({std::exp2(-4.0), std::exp2(-8.0)}));
  EXPECT_EQ(headSlopes(8),
            std::vector<double>({0.5, 0.25, 0.125, 1 / 16., 1 / 32., 1 / 64.,
                                 1 / 128., 1 / 256.}));
}

TEST(HeadSlopes, OthersTakeEverySecondOfTheNextPower) {
  // P = 2, then the first of 4 heads.
  EXPECT_EQ(headSlopes(3),
            std::vector<double>({std::exp2(-4.0), std::exp2(-8.0), 0.25}));
  // P = 4, then elements 0 and 2 of 8 heads.
  EXPECT_EQ(headSlopes(6), std::vector<double>(
                               {0.25, 1 / 16., 1 / 64., 1 / 256., 0.5, 0.125}));
  std::vector<double> twelve = headSlopes(12);
  ASSERT_EQ(twelve.size(), 12u);
  for (int h = 0; h < 8; ++h)
    EXPECT_DOUBLE_EQ(twelve[h], std::exp2(-(h + 1.0)));
  for (int i = 0; i < 4; ++i)
    EXPECT_DOUBLE_EQ(twelve[8 + i], std::exp2(-0.5 * (2 * i + 1)));
}

TEST_F(ModelSpecTest, DefaultsAreThePublishedOnes) {
  ModelSpec spec = parse("{}");
  EXPECT_EQ(spec.name, "spec");
  EXPECT_EQ(spec.vocabSize, 64000);
  EXPECT_EQ(spec.embedDim, 1024);
  EXPECT_EQ(spec.layers, 24);
  EXPECT_EQ(spec.heads, 8);
  EXPECT_EQ(spec.hiddenDim, 1024);
  EXPECT_EQ(spec.gluDim, 2816);
  EXPECT_EQ(spec.activation, Activation::Silu);
  EXPECT_EQ(spec.norm, NormKind::Srms);
  EXPECT_EQ(spec.normEps, 1e-6);
  EXPECT_FALSE(spec.normBias);
  EXPECT_EQ(spec.lrpe, std::vector<bool>(24, false));
  EXPECT_EQ(spec.decay, DecayRule::TransNormer);
  EXPECT_EQ(spec.attentionScale, 1.0);
  EXPECT_FALSE(spec.bias);
  EXPECT_FALSE(spec.tiedHead);
  EXPECT_EQ(spec.embeddingScale, 32.0);
  EXPECT_EQ(spec.padTokenId, 0);
  EXPECT_EQ(spec.bosTokenId, 1);
  EXPECT_EQ(spec.eosTokenIds, std::vector<int64_t>({2}));
  EXPECT_FALSE(spec.addBosToken);
  EXPECT_EQ(spec.initStd, 0.02);
}

TEST_F(ModelSpecTest, SlopesFallWithDepth) {
  ModelSpec spec = parse("{decoder_layers: 3, decoder_attention_heads: 2}");
  std::vector<double> base = headSlopes(2);
  double factors[] = {1.0 + 1e-5, 0.5 + 1e-5, 1e-5};
  for (int layer = 0; layer < 3; ++layer)
    for (int h = 0; h < 2; ++h)
      EXPECT_NEAR(spec.slopes(layer)[h], base[h] * factors[layer], 1e-17);
}

TEST_F(ModelSpecTest, ASingleLayerCountsAsTheFirst) {
  ModelSpec spec = parse("{decoder_layers: 1, decoder_attention_heads: 1}");
  EXPECT_DOUBLE_EQ(spec.slopes(0)[0], (1.0 + 1e-5) / 256);
}

TEST_F(ModelSpecTest, OtherDecayRules) {
  std::string sizes = "decoder_layers: 2\ndecoder_attention_heads: 2\n";
  ModelSpec spec = parse(sizes + "decay: headwise\n");
  EXPECT_EQ(spec.slopes(0), headSlopes(2));
  EXPECT_EQ(spec.slopes(1), headSlopes(2));
  spec = parse(sizes + "decay: none\n");
  EXPECT_EQ(spec.slopes(1), std::vector<double>({0, 0}));
  spec =
      parse(sizes + "decay: {rule: explicit, slopes: [[0.5, 0], [1, 2e-3]]}");
  EXPECT_EQ(spec.slopes(0), std::vector<double>({0.5, 0}));
  EXPECT_EQ(spec.slopes(1), std::vector<double>({1, 0.002}));
  spec = parse(sizes + "decay:\n  rule: explicit\n  slopes: [0.5, 0.25]\n");
  EXPECT_EQ(spec.slopes(1), std::vector<double>({0.5, 0.25}));
  spec = parse(sizes + "decay: {rule: headwise}");
  EXPECT_EQ(spec.decay, DecayRule::HeadWise);
}

TEST_F(ModelSpecTest, LrpeDoublesTheKeyWidthOfItsLayers) {
  ModelSpec spec = parse("decoder_layers: 2\ndecoder_embed_dim: 384\n"
                         "hidden_dim: 384\ndecoder_attention_heads: 2\n"
                         "linear_use_lrpe_list: [true, 0]\n");
  EXPECT_EQ(spec.keyWidth(0), 384);
  EXPECT_EQ(spec.keyWidth(1), 192);
  EXPECT_EQ(spec.valueWidth(), 192);
  EXPECT_TRUE(spec.anyLrpe());
}

TEST_F(ModelSpecTest, EveryActivationAndNorm) {
  std::pair<const char *, Activation> activations[] = {
      {"none", Activation::None},        {"silu", Activation::Silu},
      {"gelu", Activation::Gelu},        {"relu", Activation::Relu},
      {"elu", Activation::Elu},          {"sigmoid", Activation::Sigmoid},
      {"exp", Activation::Exp},          {"1+elu", Activation::OnePlusElu},
      {"2+elu", Activation::TwoPlusElu}, {"leak", Activation::LeakyRelu}};
  for (auto [name, activation] : activations) {
    EXPECT_EQ(parse(std::string("linear_act_fun: ") + name).activation,
              activation);
    EXPECT_EQ(stringify(activation), name);
  }
  EXPECT_EQ(parse("linear_act_fun: swish").activation, Activation::Silu);
  ModelSpec rms = parse("norm_type: rmsnorm");
  EXPECT_EQ(rms.norm, NormKind::Rms);
  EXPECT_EQ(rms.normEps, 1e-6);
  EXPECT_FALSE(rms.normBias);
  ModelSpec layer = parse("norm_type: layernorm");
  EXPECT_EQ(layer.norm, NormKind::Layer);
  EXPECT_EQ(layer.normEps, 1e-5);
  EXPECT_TRUE(layer.normBias);
  EXPECT_FALSE(parse("{norm_type: layernorm, norm_bias: false}").normBias);
  EXPECT_TRUE(parse("{norm_type: rmsnorm, norm_bias: true}").normBias);
  EXPECT_EQ(parse("{norm_type: layernorm, norm_eps: 1.0e-3}").normEps, 1e-3);
}

TEST_F(ModelSpecTest, Scales) {
  EXPECT_EQ(parse("no_scale_embedding: true").embeddingScale, 1.0);
  EXPECT_EQ(parse("embedding_scale: 2.5").embeddingScale, 2.5);
  EXPECT_EQ(parse("attention_scale: 0.125").attentionScale, 0.125);
  // 1024 / 8 = 128 wide, whether LRPE doubles it or not.
  EXPECT_DOUBLE_EQ(parse("attention_scale: rsqrt_key_width").attentionScale,
                   1 / std::sqrt(128.0));
}

TEST_F(ModelSpecTest, TokenIds) {
  ModelSpec spec = parse("{pad_token_id: null, bos_token_id: ~, "
                         "eos_token_id: [7, 9]}");
  EXPECT_EQ(spec.padTokenId, std::nullopt);
  EXPECT_EQ(spec.bosTokenId, std::nullopt);
  EXPECT_EQ(spec.eosTokenIds, std::vector<int64_t>({7, 9}));
  EXPECT_TRUE(parse("eos_token_id: null").eosTokenIds.empty());
  // Defaults that a tiny vocabulary lacks are no tokens.
  ModelSpec two = parse("vocab_size: 2");
  EXPECT_EQ(two.bosTokenId, 1);
  EXPECT_TRUE(two.eosTokenIds.empty());
}

TEST_F(ModelSpecTest, GluWidthOfMinusOneIsTheModelWidth) {
  EXPECT_EQ(
      parse("{decoder_embed_dim: 96, hidden_dim: 64, glu_dim: -1}").gluDim, 96);
}

TEST_F(ModelSpecTest, ParametersOfEveryOption) {
  ModelSpec spec = parse(R"(
decoder_layers: 2
decoder_embed_dim: 8
hidden_dim: 8
decoder_attention_heads: 2
glu_dim: 12
vocab_size: 10
bias: true
norm_type: layernorm
linear_use_lrpe_list: [1, 0]
)");
  std::vector<Parameter> list = spec.parameters();
  ASSERT_EQ(list.size(), 1u + 2 * 16 + 1 + 2 + 1);
  int64_t total = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(spec.parameterIndex(list[i].role, list[i].layer), int64_t(i));
    total += list[i].numElements();
  }
  EXPECT_EQ(spec.numParameters(), total);
  auto shapeOf = [&](llvm::StringRef tensor) {
    for (const Parameter &parameter : list)
      if (parameter.tensor == tensor)
        return parameter.shape;
    ADD_FAILURE() << tensor.str();
    return std::vector<int64_t>();
  };
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(shapeOf("model.embed_tokens.weight"), Shape({10, 8}));
  EXPECT_EQ(shapeOf("model.layers.0.token_norm.bias"), Shape({8}));
  EXPECT_EQ(shapeOf("model.layers.0.token_mixer.lrpe.theta"), Shape({2, 1, 4}));
  EXPECT_EQ(shapeOf("model.layers.1.token_mixer.qkvu_proj.weight"),
            Shape({32, 8}));
  EXPECT_EQ(shapeOf("model.layers.1.token_mixer.qkvu_proj.bias"), Shape({32}));
  EXPECT_EQ(shapeOf("model.layers.1.token_mixer.norm.weight"), Shape({8}));
  EXPECT_EQ(shapeOf("model.layers.1.channel_mixer.l3.weight"), Shape({8, 12}));
  EXPECT_EQ(shapeOf("model.final_norm.weight"), Shape({8}));
  EXPECT_EQ(shapeOf("lm_head.weight"), Shape({10, 8}));
  EXPECT_EQ(spec.parameterIndex(ParameterRole::LrpeTheta, 1), std::nullopt);
}

TEST_F(ModelSpecTest, ATiedHeadHasNoParameter) {
  ModelSpec spec = parse("tie_word_embeddings: true");
  EXPECT_EQ(spec.parameterIndex(ParameterRole::Head), std::nullopt);
}

TEST_F(ModelSpecTest, AblationsHaveDefaults) {
  ModelSpec spec = parse("{}");
  EXPECT_EQ(spec.attention,
            std::vector<AttentionKind>(24, AttentionKind::Linear));
  EXPECT_TRUE(spec.gate);
  EXPECT_EQ(spec.gluActivation, Activation::None);
  EXPECT_EQ(spec.ropeTheta, std::nullopt);
  EXPECT_FALSE(spec.absolutePositions);
  EXPECT_EQ(spec.attentionBlock, 64);
  EXPECT_FALSE(spec.limitsPositions());
  EXPECT_EQ(spec.maxPositions, 0);
  // Nobody would ask for them.
  EXPECT_EQ(parse("max_position_embeddings: 100").maxPositions, 0);
}

TEST_F(ModelSpecTest, PositionEncodings) {
  auto encoded = [&](const char *name) {
    return parse(std::string("{decoder_layers: 3, position_encoding: ") + name +
                 "}");
  };
  using Flags = std::vector<bool>;
  ModelSpec spec = encoded("lrpe-d");
  EXPECT_EQ(spec.lrpe, Flags({true, true, true}));
  EXPECT_EQ(spec.decay, DecayRule::TransNormer);
  spec = encoded("mix");
  EXPECT_EQ(spec.lrpe, Flags({true, false, false}));
  EXPECT_EQ(spec.decay, DecayRule::TransNormer);
  spec = encoded("decay");
  EXPECT_EQ(spec.lrpe, Flags(3, false));
  EXPECT_EQ(spec.decay, DecayRule::TransNormer);
  spec = encoded("lrpe");
  EXPECT_EQ(spec.lrpe, Flags(3, true));
  EXPECT_EQ(spec.decay, DecayRule::None);
  spec = encoded("absolute");
  EXPECT_EQ(spec.lrpe, Flags(3, false));
  EXPECT_EQ(spec.decay, DecayRule::None);
  EXPECT_TRUE(spec.absolutePositions);
  EXPECT_EQ(spec.maxPositions, 2048);
  spec = encoded("rope");
  EXPECT_EQ(spec.ropeTheta, 10000.0);
  EXPECT_EQ(spec.decay, DecayRule::None);
  EXPECT_EQ(spec.maxPositions, 0);
  spec = encoded("none");
  EXPECT_EQ(spec.decay, DecayRule::None);
  EXPECT_EQ(spec.ropeTheta, std::nullopt);
}

TEST_F(ModelSpecTest, BaselinesKeepKeysAndValues) {
  ModelSpec spec = parse(R"(
decoder_layers: 3
decoder_embed_dim: 12
hidden_dim: 12
decoder_attention_heads: 2
glu_dim: 5
vocab_size: 10
attention: [diag, softmax, linear]
attention_block: 7
linear_use_lrpe_list: [1, 0, 0]
max_position_embeddings: 30
gate: false
norm_type: rmsnorm
absolute_positions: true
)");
  using Shape = std::pair<int64_t, int64_t>;
  EXPECT_EQ(spec.stateShape(0), Shape(7, 18)); // LRPE doubles keys alone
  EXPECT_EQ(spec.stateShape(1), Shape(30, 12));
  EXPECT_EQ(spec.stateShape(2), Shape(6, 6));
  EXPECT_DOUBLE_EQ(spec.softmaxScale, 1 / std::sqrt(6.0));
  EXPECT_EQ(spec.attentionScale, 1.0);
  auto shapeOf = [&](ParameterRole role, int64_t layer) {
    auto index = spec.parameterIndex(role, layer);
    return index ? spec.parameters()[*index].shape : std::vector<int64_t>();
  };
  using Sizes = std::vector<int64_t>;
  EXPECT_EQ(shapeOf(ParameterRole::Positions, -1), Sizes({30, 12}));
  EXPECT_EQ(shapeOf(ParameterRole::QkvuWeight, 0), Sizes({36, 12}));
  EXPECT_EQ(
      spec.parameters()[*spec.parameterIndex(ParameterRole::QkvuWeight, 0)]
          .tensor,
      "model.layers.0.token_mixer.qkv_proj.weight");
  // Linear layers alone normalise what they attend to.
  EXPECT_EQ(shapeOf(ParameterRole::MixerNormWeight, 0), Sizes());
  EXPECT_EQ(shapeOf(ParameterRole::MixerNormWeight, 2), Sizes({12}));
  EXPECT_EQ(parse("{attention: softmax, softmax_scale: 0.5}").softmaxScale,
            0.5);
}

TEST_F(ModelSpecTest, JSONReadsBackAsTheSameSpec) {
  const char *specs[] = {
      "{}",
      "{norm_type: rmsnorm, norm_bias: true, norm_eps: 3.0e-7}",
      "{decoder_layers: 2, decoder_attention_heads: 2, eos_token_id: [1, 5], "
      "decay: {rule: explicit, slopes: [[0.1, 0.3], [1e-5, 0]]}}",
      "{no_scale_embedding: true, tie_word_embeddings: true, bias: true, "
      "pad_token_id: null, linear_act_fun: 1+elu, "
      "attention_scale: rsqrt_key_width, hidden_dim: 24, name: \"a "
      "\\\"b\\\"\"}",
      "{attention: softmax, position_encoding: rope, gate: false, "
      "glu_act_fun: swish, max_position_embeddings: 77, softmax_scale: 0.3}",
      "{decoder_layers: 2, attention: [diag, linear], attention_block: 5, "
      "position_encoding: absolute}"};
  for (const char *text : specs) {
    std::string json = parse(text).toJSON();
    ASSERT_TRUE(bool(llvm::json::parse(json))) << json;
    EXPECT_EQ(json.find('\n'), std::string::npos);
    auto again = loadModel(write("again.json", json), {false});
    ASSERT_TRUE(bool(again)) << llvm::toString(again.takeError());
    EXPECT_EQ(again->spec.toJSON(), json);
  }
  EXPECT_NE(parse("{}").toJSON().find("\"norm_eps\":1e-06"), std::string::npos);
}
} // namespace
