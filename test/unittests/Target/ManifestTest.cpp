// The manifest's JSON against docs/Manifest.md.
#include "tnllm/Target/Manifest.h"

#include "llvm/Support/JSON.h"

#include <gtest/gtest.h>

using namespace tnllm;
namespace json = llvm::json;

namespace {

ModelSpec makeSpec() {
  ModelSpec spec;
  spec.name = "unit";
  spec.layers = 2;
  spec.lrpe = {true, false};
  return spec;
}

CPUTarget makeTarget() {
  CPUTarget target;
  target.triple = "x86_64-unknown-linux-gnu";
  target.march = target.cpu = "x86-64-v4";
  target.requiredFeatures = {"avx2", "avx512f"};
  return target;
}

ProgramInfo makeProgram() {
  ProgramInfo program;
  program.prefillRows = 256;
  program.decodeRows = 64;
  program.headRows = 32;
  program.arenaBytes = 1 << 20;
  program.states = {{4, 32, 16}, {4, 16, 16}};
  program.probes = {"hidden.0", "hidden.1"};
  program.probeShapes = {{64}, {4, 16}};
  ProgramParameter panels;
  panels.tensor = "w";
  panels.shape = {100, 64};
  panels.dtype = DType::BF16;
  panels.layout = {ParameterLayout::Panels, 64, 2};
  panels.init = {ParameterInit::Normal, 0.02};
  ProgramParameter theta;
  theta.tensor = "theta";
  theta.shape = {4, 1, 16};
  theta.init = {ParameterInit::LrpeTheta, 0};
  ProgramParameter norm;
  norm.tensor = "norm";
  norm.shape = {64};
  norm.init = {ParameterInit::Constant, 1};
  program.parameters = {panels, theta, norm};
  return program;
}

json::Object parse(const std::string &text) {
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value) {
    ADD_FAILURE() << llvm::toString(value.takeError()) << " in " << text;
    return {};
  }
  return std::move(*value->getAsObject());
}

TEST(Manifest, DescribesInt8Weights) {
  ProgramInfo program = makeProgram();
  ProgramParameter weight = program.parameters[0], scales = weight;
  weight.dtype = DType::I8;
  weight.layout = {ParameterLayout::Panels, 64, 1};
  scales.dtype = DType::F32;
  scales.layout = {ParameterLayout::RowScales};
  program.parameters = {weight, scales};
  json::Object manifest = parse(
      buildManifest(makeSpec(), makeTarget(), DType::I8, program, {}, {}));
  EXPECT_EQ(manifest.getString("dtype"), "int8");
  const json::Array &parameters = *manifest.getArray("parameters");
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0].getAsObject()->getString("dtype"), "i8");
  EXPECT_EQ(*parameters[0].getAsObject()->getObject("layout"),
            (json::Object{{"kind", "panels"}, {"width", 64}, {"step", 1}}));
  EXPECT_EQ(parameters[1].getAsObject()->getString("dtype"), "f32");
  EXPECT_EQ(*parameters[1].getAsObject()->getObject("layout"),
            (json::Object{{"kind", "row_scales"}}));
  EXPECT_EQ(*parameters[1].getAsObject()->getArray("shape"),
            (json::Array{100, 64}));
}

json::Object build(const WeightsSource &weights,
                   const TokenizerSource &tokenizer) {
  return parse(buildManifest(makeSpec(), makeTarget(), DType::BF16,
                             makeProgram(), weights, tokenizer));
}

TEST(Manifest, SaysWhatTheProgramIs) {
  json::Object manifest = build({}, {});
  EXPECT_EQ(manifest.getInteger("abi"), 6);
  EXPECT_EQ(manifest.getString("dtype"), "bf16");
  EXPECT_EQ(manifest.getString("compiler"), getCompilerVersion());
  EXPECT_EQ(manifest.getInteger("arena_bytes"), 1 << 20);
  EXPECT_EQ(manifest.getString("fingerprint"),
            getFingerprint(makeSpec(), makeTarget(), DType::BF16));
  const json::Object *capacity = manifest.getObject("capacity");
  ASSERT_TRUE(capacity);
  EXPECT_EQ(capacity->getInteger("prefill_rows"), 256);
  EXPECT_EQ(capacity->getInteger("decode_rows"), 64);
  EXPECT_EQ(capacity->getInteger("head_rows"), 32);
  EXPECT_EQ(*manifest.getArray("probes"),
            (json::Array{"hidden.0", "hidden.1"}));
  EXPECT_EQ(*manifest.getArray("probe_shapes"),
            (json::Array{json::Array{64}, json::Array{4, 16}}));
  const json::Object *target = manifest.getObject("target");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->getString("march"), "x86-64-v4");
  EXPECT_EQ(*target->getArray("requires"), (json::Array{"avx2", "avx512f"}));
  const json::Object *model = manifest.getObject("model");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->getInteger("decoder_layers"), 2);
}

TEST(Manifest, SaysWhatATrainerTakes) {
  ProgramInfo program = makeProgram();
  program.trainTokens = 4096;
  program.trainSequences = 256;
  json::Object manifest = parse(
      buildManifest(makeSpec(), makeTarget(), DType::F32, program, {}, {}));
  EXPECT_EQ(*manifest.getObject("training"),
            (json::Object{
                {"max_tokens", 4096}, {"max_sequences", 256}, {"amp", "off"}}));
  program.mixedPrecision = true;
  json::Object mixed = parse(
      buildManifest(makeSpec(), makeTarget(), DType::F32, program, {}, {}));
  EXPECT_EQ(mixed.getObject("training")->getString("amp"), "bf16");
  EXPECT_NE(mixed.getString("fingerprint"), manifest.getString("fingerprint"));
  EXPECT_FALSE(manifest.get("capacity"));
  EXPECT_FALSE(build({}, {}).get("training"));
}

TEST(Manifest, NamesTheGPUAndItsHost) {
  GPUTarget gpu;
  gpu.chip = "sm_90a";
  gpu.features = "+ptx80";
  json::Object manifest = parse(buildManifest(
      makeSpec(), makeTarget(), DType::BF16, makeProgram(), {}, {}, &gpu));
  const json::Object *target = manifest.getObject("target");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->getString("kind"), "gpu");
  EXPECT_EQ(target->getString("chip"), "sm_90a");
  EXPECT_EQ(target->getString("march"), "x86-64-v4");
  std::string onCPU = getFingerprint(makeSpec(), makeTarget(), DType::BF16);
  std::string onGPU =
      getFingerprint(makeSpec(), makeTarget(), DType::BF16, &gpu);
  EXPECT_EQ(manifest.getString("fingerprint"), onGPU);
  EXPECT_NE(onCPU, onGPU);
  gpu.chip = "sm_80";
  EXPECT_NE(onGPU, getFingerprint(makeSpec(), makeTarget(), DType::BF16, &gpu));
  // A CPU program names no kind.
  EXPECT_FALSE(build({}, {}).getObject("target")->get("kind"));
}

TEST(Manifest, DescribesStatesAndParameters) {
  json::Object manifest = build({}, {});
  const json::Array *states = manifest.getArray("states");
  ASSERT_TRUE(states && states->size() == 2);
  EXPECT_EQ(
      *(*states)[0].getAsObject(),
      (json::Object{{"heads", 4}, {"key_width", 32}, {"value_width", 16}}));
  const json::Array *parameters = manifest.getArray("parameters");
  ASSERT_TRUE(parameters && parameters->size() == 3);
  EXPECT_EQ(*(*parameters)[0].getAsObject(),
            (json::Object{
                {"tensor", "w"},
                {"shape", json::Array{100, 64}},
                {"dtype", "bf16"},
                {"layout",
                 json::Object{{"kind", "panels"}, {"width", 64}, {"step", 2}}},
                {"init", json::Object{{"kind", "normal"}, {"std", 0.02}}}}));
  const json::Object &theta = *(*parameters)[1].getAsObject();
  EXPECT_EQ(*theta.getObject("layout"), (json::Object{{"kind", "rows"}}));
  EXPECT_EQ(*theta.getObject("init"), (json::Object{{"kind", "lrpe_theta"}}));
  EXPECT_EQ(theta.getString("dtype"), "f32");
  const json::Object &norm = *(*parameters)[2].getAsObject();
  EXPECT_EQ(*norm.getObject("init"),
            (json::Object{{"kind", "constant"}, {"value", 1.0}}));
}

TEST(Manifest, NamesTheWeights) {
  TokenizerSource pieces{TokenizerSource::SentencePiece, "/m/tokenizer.model"};
  json::Object link = build({WeightsSource::Link, "/m/\"quoted\"", 0}, pieces);
  EXPECT_EQ(*link.getObject("weights"),
            (json::Object{{"kind", "link"}, {"path", "/m/\"quoted\""}}));
  EXPECT_EQ(*link.getObject("tokenizer"),
            (json::Object{{"kind", "sentencepiece"},
                          {"path", "/m/tokenizer.model"}}));

  json::Object embed = build({WeightsSource::Embed, "/m", 0}, pieces);
  EXPECT_EQ(*embed.getObject("weights"), (json::Object{{"kind", "embed"}}));
  EXPECT_EQ(*embed.getObject("tokenizer"),
            (json::Object{{"kind", "sentencepiece"}}));

  json::Object random = build({WeightsSource::Random, "", UINT64_MAX}, {});
  EXPECT_EQ(random.getObject("weights")->get("seed")->getAsUINT64(),
            UINT64_MAX);
  EXPECT_EQ(*random.getObject("tokenizer"), (json::Object{{"kind", "bytes"}}));
}

// A path that is no UTF-8 must not make the JSON unreadable.
TEST(Manifest, SurvivesBytesThatAreNoText) {
  json::Object manifest = build({WeightsSource::Link, "/m/\xff", 0}, {});
  EXPECT_TRUE(manifest.getObject("weights"));
}

TEST(Manifest, FingerprintFollowsWhatChangesTheCode) {
  std::string base = getFingerprint(makeSpec(), makeTarget(), DType::F32);
  EXPECT_EQ(base.size(), 32u);
  EXPECT_EQ(base.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(base, getFingerprint(makeSpec(), makeTarget(), DType::F32));
  EXPECT_NE(base, getFingerprint(makeSpec(), makeTarget(), DType::BF16));
  EXPECT_NE(base, getFingerprint(makeSpec(), makeTarget(), DType::I8));
  ModelSpec spec = makeSpec();
  spec.normEps = 1e-5;
  EXPECT_NE(base, getFingerprint(spec, makeTarget(), DType::F32));
  CPUTarget target = makeTarget();
  target.cpu = "x86-64-v3";
  EXPECT_NE(base, getFingerprint(makeSpec(), target, DType::F32));
}

} // namespace
