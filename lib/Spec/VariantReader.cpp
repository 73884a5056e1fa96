// Ablations and baselines: one function for each key, then their relations.
#include "VariantReader.h"

#include "llvm/ADT/SmallVectorExtras.h"

#include <cmath>

using namespace tnllm;
using namespace tnllm::spec;
using llvm::StringRef;
using llvm::Twine;

namespace {
constexpr int64_t maxPositions = int64_t(1) << 20;
constexpr int64_t defaultPositions = 2048;
constexpr double defaultRopeTheta = 10000;

// Those that apply to each element alone: not exp.
constexpr std::pair<StringRef, Activation> activations[] = {
    {"none", Activation::None},        {"silu", Activation::Silu},
    {"gelu", Activation::Gelu},        {"relu", Activation::Relu},
    {"elu", Activation::Elu},          {"sigmoid", Activation::Sigmoid},
    {"1+elu", Activation::OnePlusElu}, {"2+elu", Activation::TwoPlusElu},
    {"leak", Activation::LeakyRelu},   {"swish", Activation::Silu}};

// What `position_encoding` stands for.
struct Encoding {
  StringRef name;
  enum { NoLayer, FirstLayer, AllLayers } lrpe;
  DecayRule decay;
  bool rope, absolute;
};
constexpr Encoding encodings[] = {
    {"lrpe-d", Encoding::AllLayers, DecayRule::TransNormer, false, false},
    {"mix", Encoding::FirstLayer, DecayRule::TransNormer, false, false},
    {"decay", Encoding::NoLayer, DecayRule::TransNormer, false, false},
    {"lrpe", Encoding::AllLayers, DecayRule::None, false, false},
    {"absolute", Encoding::NoLayer, DecayRule::None, false, true},
    {"rope", Encoding::NoLayer, DecayRule::None, true, false},
    {"none", Encoding::NoLayer, DecayRule::None, false, false}};

class VariantReader {
public:
  VariantReader(ModelSpec &spec, ValueReader &value,
                llvm::function_ref<const Node *(StringRef)> find)
      : spec(spec), value(value), find(find) {}

  void read() {
    readGlu();
    if (const Node *node = find("gate"))
      spec.gate = value.boolean("gate", *node).value_or(true);
    readAttention();
    readSoftmaxScale();
    readEncoding();
    readRope();
    if (const Node *node = find("absolute_positions"))
      spec.absolutePositions =
          value.boolean("absolute_positions", *node).value_or(false);
    readPositions(); // after all that decides whether they are limited
    checkRope();
  }

private:
  void readGlu() {
    const Node *node = find("glu_act_fun");
    if (!node)
      return;
    auto names = llvm::map_to_vector(
        activations, [](const auto &entry) { return entry.first; });
    if (auto index = value.oneOf("glu_act_fun", *node, names))
      spec.gluActivation = activations[*index].second;
  }

  std::optional<AttentionKind> readKind(const Node &node) {
    static constexpr StringRef names[] = {"linear", "softmax", "diag"};
    static constexpr AttentionKind kinds[] = {
        AttentionKind::Linear, AttentionKind::Softmax, AttentionKind::Diag};
    std::optional<size_t> index = value.oneOf("attention", node, names);
    return index ? std::optional(kinds[*index]) : std::nullopt;
  }

  void readAttention() {
    spec.attention.assign(spec.layers, AttentionKind::Linear);
    if (const Node *node = find("attention_block"))
      spec.attentionBlock =
          value.integer("attention_block", *node, 1, maxPositions)
              .value_or(spec.attentionBlock);
    const Node *node = find("attention");
    if (!node)
      return;
    if (node->kind != Node::Sequence) {
      if (std::optional<AttentionKind> kind = readKind(*node))
        spec.attention.assign(spec.layers, *kind);
      return;
    }
    if (int64_t(node->items.size()) != spec.layers)
      return value.error(*node, "'attention' has " + Twine(node->items.size()) +
                                    " entries; expected one per layer, " +
                                    Twine(spec.layers));
    for (size_t layer = 0; layer < node->items.size(); ++layer)
      if (std::optional<AttentionKind> kind = readKind(node->items[layer]))
        spec.attention[layer] = *kind;
  }

  void readSoftmaxScale() {
    spec.softmaxScale =
        1.0 / std::sqrt(double(spec.hiddenDim) / double(spec.heads));
    const Node *node = find("softmax_scale");
    if (!node ||
        (node->kind == Node::Scalar && node->text == "rsqrt_key_width"))
      return;
    if (auto scale = value.number("softmax_scale", *node, /*positive=*/true))
      spec.softmaxScale = *scale;
  }

  void readEncoding() {
    const Node *node = find("position_encoding");
    if (!node)
      return;
    auto names = llvm::map_to_vector(
        encodings, [](const Encoding &encoding) { return encoding.name; });
    std::optional<size_t> index =
        value.oneOf("position_encoding", *node, names);
    if (!index)
      return;
    for (StringRef other :
         {"linear_use_lrpe_list", "decay", "rope_theta", "absolute_positions"})
      if (find(other))
        return value.error(*node, "'position_encoding' is short for other "
                                  "keys, of which " +
                                      other +
                                      " is given too; expected one of "
                                      "the two");
    const Encoding &encoding = encodings[*index];
    spec.lrpe.assign(spec.layers, encoding.lrpe == Encoding::AllLayers);
    if (encoding.lrpe == Encoding::FirstLayer)
      spec.lrpe[0] = true;
    spec.decay = encoding.decay;
    spec.absolutePositions = encoding.absolute;
    if (encoding.rope)
      spec.ropeTheta = defaultRopeTheta;
  }

  void readRope() {
    const Node *node = find("rope_theta");
    if (node && node->kind != Node::Null)
      spec.ropeTheta = value.number("rope_theta", *node, /*positive=*/true);
  }

  void readPositions() {
    std::optional<int64_t> given;
    const Node *node = find("max_position_embeddings");
    if (node && node->kind != Node::Null)
      given = value.integer("max_position_embeddings", *node, 1, maxPositions);
    spec.maxPositions =
        spec.limitsPositions() ? given.value_or(defaultPositions) : 0;
  }

  // RoPE turns pairs of elements, and LRPE would double what it turned.
  void checkRope() {
    if (!spec.ropeTheta)
      return;
    const Node *node = find("rope_theta");
    if (!node)
      node = find("position_encoding");
    if (spec.hiddenDim % spec.heads == 0 && spec.headWidth() % 2 != 0)
      value.error(*node, "RoPE turns pairs of elements, but a head is " +
                             Twine(spec.headWidth()) +
                             " wide (hidden_dim / decoder_attention_heads); "
                             "expected an even width");
    if (spec.anyLrpe())
      value.error(*node, "RoPE and LRPE (linear_use_lrpe_list) are both given; "
                         "expected one of the two");
  }

  ModelSpec &spec;
  ValueReader &value;
  llvm::function_ref<const Node *(StringRef)> find;
};
} // namespace

void tnllm::spec::readVariants(
    ModelSpec &spec, ValueReader &value,
    llvm::function_ref<const Node *(StringRef)> find) {
  VariantReader(spec, value, find).read();
}
