// The published code's one value of each key that it does not have.
#include "PublishedModel.h"

#include <cmath>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

// Of keys that the published configuration has not: what its code does.
const Json &publishedValues() {
  static const Json values = {
      {"decay", "transnormer"},     {"attention_scale", 1.0},
      {"attention", "linear"},      {"gate", true},
      {"glu_act_fun", "none"},      {"rope_theta", nullptr},
      {"absolute_positions", false}};
  return values;
}

double numberOf(const Json &model, const char *key, double otherwise) {
  auto it = model.find(key);
  return it != model.end() && it->is_number() ? it->get<double>() : otherwise;
}

// Equal but for rounding to f32.
bool isNear(double value, double expected) {
  return std::abs(value / expected - 1) < 1e-6;
}

// It knows two norms: SRMSNorm, and PyTorch's LayerNorm with weight and bias
// under every other name.
bool hasPublishedNorm(const Json &model) {
  const std::string kind = model.value("norm_type", "simplermsnorm");
  if (kind == "simplermsnorm")
    return isNear(numberOf(model, "norm_eps", 1e-6), 1e-6);
  return kind == "layernorm" && model.value("norm_bias", true) &&
         isNear(numberOf(model, "norm_eps", 1e-5), 1e-5);
}

// 1 or sqrt(decoder_embed_dim), which one key chooses.
bool hasPublishedEmbeddingScale(const Json &model) {
  const double width = numberOf(model, "decoder_embed_dim", 1);
  const double scale = numberOf(model, "embedding_scale", 1);
  return scale == 1 || isNear(scale, std::sqrt(width));
}

std::string shown(const Json &model, const std::string &key) {
  auto it = model.find(key);
  return key + ": " + (it == model.end() ? "null" : it->dump());
}

} // namespace

std::vector<std::string> keysBeyondPublished(const Json &model) {
  std::vector<std::string> result;
  for (const auto &[key, published] : publishedValues().items()) {
    auto it = model.find(key);
    if (it != model.end() && *it != published)
      result.push_back(shown(model, key));
  }
  if (!hasPublishedNorm(model))
    for (const char *key : {"norm_type", "norm_eps", "norm_bias"})
      result.push_back(shown(model, key));
  if (!hasPublishedEmbeddingScale(model))
    result.push_back(shown(model, "embedding_scale"));
  return result;
}

} // namespace tnrt
