// What follows from a resolved spec alone: slopes and the parameter list.
#include "tnllm/Spec/ModelSpec.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/ErrorHandling.h"

#include <algorithm>
#include <cassert>
#include <cmath>

using namespace tnllm;

llvm::StringRef tnllm::stringify(Activation activation) {
  switch (activation) {
  case Activation::None:
    return "none";
  case Activation::Silu:
    return "silu";
  case Activation::Gelu:
    return "gelu";
  case Activation::Relu:
    return "relu";
  case Activation::Elu:
    return "elu";
  case Activation::Sigmoid:
    return "sigmoid";
  case Activation::Exp:
    return "exp";
  case Activation::OnePlusElu:
    return "1+elu";
  case Activation::TwoPlusElu:
    return "2+elu";
  case Activation::LeakyRelu:
    return "leak";
  }
  llvm_unreachable("unknown activation");
}

llvm::StringRef tnllm::stringify(NormKind norm) {
  switch (norm) {
  case NormKind::Srms:
    return "simplermsnorm";
  case NormKind::Rms:
    return "rmsnorm";
  case NormKind::Layer:
    return "layernorm";
  }
  llvm_unreachable("unknown norm");
}

llvm::StringRef tnllm::stringify(DecayRule rule) {
  switch (rule) {
  case DecayRule::TransNormer:
    return "transnormer";
  case DecayRule::HeadWise:
    return "headwise";
  case DecayRule::None:
    return "none";
  case DecayRule::Explicit:
    return "explicit";
  }
  llvm_unreachable("unknown decay rule");
}

llvm::StringRef tnllm::stringify(AttentionKind kind) {
  switch (kind) {
  case AttentionKind::Linear:
    return "linear";
  case AttentionKind::Softmax:
    return "softmax";
  case AttentionKind::Diag:
    return "diag";
  }
  llvm_unreachable("unknown attention");
}

int64_t Parameter::numElements() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

bool ModelSpec::anyLrpe() const {
  return std::find(lrpe.begin(), lrpe.end(), true) != lrpe.end();
}

std::pair<int64_t, int64_t> ModelSpec::stateShape(int64_t layer) const {
  int64_t both = keyWidth(layer) + valueWidth();
  switch (attentionOf(layer)) {
  case AttentionKind::Linear:
    return {keyWidth(layer), valueWidth()};
  case AttentionKind::Softmax:
    return {maxPositions, both};
  case AttentionKind::Diag:
    return {attentionBlock, both};
  }
  llvm_unreachable("unknown attention");
}

bool ModelSpec::limitsPositions() const {
  return absolutePositions ||
         std::find(attention.begin(), attention.end(),
                   AttentionKind::Softmax) != attention.end();
}

std::vector<double> tnllm::headSlopes(int64_t heads) {
  assert(heads > 0 && "a model has at least one head");
  auto ofPowerOfTwo = [](int64_t count) {
    std::vector<double> slopes;
    for (int64_t h = 0; h < count; ++h)
      slopes.push_back(std::exp2(-8.0 * double(h + 1) / double(count)));
    return slopes;
  };
  int64_t power = 1;
  while (power * 2 <= heads)
    power *= 2;
  std::vector<double> slopes = ofPowerOfTwo(power);
  if (power == heads)
    return slopes;
  std::vector<double> finer = ofPowerOfTwo(2 * power);
  for (int64_t i = 0; int64_t(slopes.size()) < heads; i += 2)
    slopes.push_back(finer[i]);
  return slopes;
}

std::vector<double> ModelSpec::slopes(int64_t layer) const {
  switch (decay) {
  case DecayRule::Explicit:
    return explicitSlopes[layer];
  case DecayRule::None:
    return std::vector<double>(heads, 0.0);
  case DecayRule::HeadWise:
    return headSlopes(heads);
  case DecayRule::TransNormer:
    break;
  }
  // A single layer counts as the first of many.
  double depth = layers > 1 ? double(layer) / double(layers - 1) : 0.0;
  std::vector<double> result = headSlopes(heads);
  for (double &slope : result)
    slope *= 1.0 - depth + 1e-5;
  return result;
}

namespace {
// Walks the parameters of a spec in their fixed order, without building names,
// so that lookups by role stay cheap.
template <typename Visit> void walkRoles(const ModelSpec &spec, Visit visit) {
  using Role = ParameterRole;
  auto norm = [&](Role weight, Role bias, int64_t layer) {
    if (spec.norm == NormKind::Srms)
      return;
    visit(weight, layer);
    if (spec.normBias)
      visit(bias, layer);
  };
  auto linear = [&](Role weight, Role bias, int64_t layer) {
    visit(weight, layer);
    if (spec.bias)
      visit(bias, layer);
  };
  visit(Role::Embedding, -1);
  if (spec.absolutePositions)
    visit(Role::Positions, -1);
  for (int64_t layer = 0; layer < spec.layers; ++layer) {
    norm(Role::TokenNormWeight, Role::TokenNormBias, layer);
    linear(Role::QkvuWeight, Role::QkvuBias, layer);
    if (spec.lrpe[layer])
      visit(Role::LrpeTheta, layer);
    if (spec.attentionOf(layer) == AttentionKind::Linear)
      norm(Role::MixerNormWeight, Role::MixerNormBias, layer);
    linear(Role::OutWeight, Role::OutBias, layer);
    norm(Role::ChannelNormWeight, Role::ChannelNormBias, layer);
    linear(Role::L1Weight, Role::L1Bias, layer);
    linear(Role::L2Weight, Role::L2Bias, layer);
    linear(Role::L3Weight, Role::L3Bias, layer);
  }
  norm(Role::FinalNormWeight, Role::FinalNormBias, -1);
  if (!spec.tiedHead)
    visit(Role::Head, -1);
}

Parameter makeParameter(const ModelSpec &spec, ParameterRole role,
                        int64_t layer) {
  using Role = ParameterRole;
  std::string prefix =
      layer < 0 ? "" : "model.layers." + std::to_string(layer) + ".";
  int64_t D = spec.embedDim, hidden = spec.hiddenDim, G = spec.gluDim;
  ParameterInit normal{ParameterInit::Normal, spec.initStd};
  ParameterInit zero{ParameterInit::Constant, 0.0};
  ParameterInit one{ParameterInit::Constant, 1.0};
  const std::string qkvu =
      spec.gate ? "token_mixer.qkvu_proj" : "token_mixer.qkv_proj";
  auto make = [&](const llvm::Twine &name, std::vector<int64_t> shape,
                  ParameterInit init) {
    return Parameter{role, layer, (prefix + name).str(), std::move(shape),
                     init};
  };
  switch (role) {
  case Role::Embedding:
    return make("model.embed_tokens.weight", {spec.vocabSize, D}, normal);
  case Role::Positions:
    return make("model.embed_positions.weight", {spec.maxPositions, D}, normal);
  case Role::TokenNormWeight:
    return make("token_norm.weight", {D}, one);
  case Role::TokenNormBias:
    return make("token_norm.bias", {D}, zero);
  case Role::QkvuWeight:
    return make(qkvu + ".weight", {spec.projections() * hidden, D}, normal);
  case Role::QkvuBias:
    return make(qkvu + ".bias", {spec.projections() * hidden}, zero);
  case Role::LrpeTheta:
    return make("token_mixer.lrpe.theta", {spec.heads, 1, spec.headWidth()},
                {ParameterInit::LrpeTheta, 0.0});
  case Role::MixerNormWeight:
    return make("token_mixer.norm.weight", {hidden}, one);
  case Role::MixerNormBias:
    return make("token_mixer.norm.bias", {hidden}, zero);
  case Role::OutWeight:
    return make("token_mixer.out_proj.weight", {D, hidden}, normal);
  case Role::OutBias:
    return make("token_mixer.out_proj.bias", {D}, zero);
  case Role::ChannelNormWeight:
    return make("channel_norm.weight", {D}, one);
  case Role::ChannelNormBias:
    return make("channel_norm.bias", {D}, zero);
  case Role::L1Weight:
    return make("channel_mixer.l1.weight", {G, D}, normal);
  case Role::L1Bias:
    return make("channel_mixer.l1.bias", {G}, zero);
  case Role::L2Weight:
    return make("channel_mixer.l2.weight", {G, D}, normal);
  case Role::L2Bias:
    return make("channel_mixer.l2.bias", {G}, zero);
  case Role::L3Weight:
    return make("channel_mixer.l3.weight", {D, G}, normal);
  case Role::L3Bias:
    return make("channel_mixer.l3.bias", {D}, zero);
  case Role::FinalNormWeight:
    return make("model.final_norm.weight", {D}, one);
  case Role::FinalNormBias:
    return make("model.final_norm.bias", {D}, zero);
  case Role::Head:
    return make("lm_head.weight", {spec.vocabSize, D}, normal);
  }
  llvm_unreachable("unknown parameter role");
}
} // namespace

std::vector<Parameter> ModelSpec::parameters() const {
  std::vector<Parameter> list;
  walkRoles(*this, [&](ParameterRole role, int64_t layer) {
    list.push_back(makeParameter(*this, role, layer));
  });
  return list;
}

std::optional<int64_t> ModelSpec::parameterIndex(ParameterRole role,
                                                 int64_t layer) const {
  std::optional<int64_t> found;
  int64_t index = 0;
  walkRoles(*this, [&](ParameterRole candidate, int64_t candidateLayer) {
    if (candidate == role && candidateLayer == layer)
      found = index;
    ++index;
  });
  return found;
}

int64_t ModelSpec::numParameters() const {
  int64_t count = 0;
  walkRoles(*this, [&](ParameterRole role, int64_t layer) {
    count += makeParameter(*this, role, layer).numElements();
  });
  return count;
}
