// The schema: one function per key, and the relations between keys.
// docs/ModelSpec.md is its documentation.
#include "SpecReader.h"

#include "HousekeepingKeys.h"
#include "VariantReader.h"

#include "tnllm/Spec/Printable.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace tnllm;
using namespace tnllm::spec;
using llvm::StringRef;
using llvm::Twine;

namespace {
// Far above any model, and small enough that no product of sizes overflows.
constexpr int64_t maxVocab = int64_t(1) << 24;
constexpr int64_t maxWidth = int64_t(1) << 20;
constexpr int64_t maxGlu = int64_t(1) << 22;
constexpr int64_t maxLayers = 4096;
constexpr int64_t maxHeads = 4096;
constexpr int64_t maxParameters = int64_t(1) << 42;

constexpr StringRef activationNames[] = {"none",  "silu",    "gelu", "relu",
                                         "elu",   "sigmoid", "exp",  "1+elu",
                                         "2+elu", "leak",    "swish"};
constexpr Activation activations[] = {
    Activation::None,      Activation::Silu,       Activation::Gelu,
    Activation::Relu,      Activation::Elu,        Activation::Sigmoid,
    Activation::Exp,       Activation::OnePlusElu, Activation::TwoPlusElu,
    Activation::LeakyRelu, Activation::Silu};
constexpr StringRef normNames[] = {"simplermsnorm", "rmsnorm", "layernorm"};
constexpr NormKind norms[] = {NormKind::Srms, NormKind::Rms, NormKind::Layer};

class SpecReader {
public:
  SpecReader(StringRef file, const Node &root, Diagnostics &diagnostics)
      : file(file), root(root), diagnostics(diagnostics),
        value(file, diagnostics) {}

  ParsedSpec read();

private:
  using Read = void (SpecReader::*)(StringRef key, const Node &);
  struct Entry {
    StringRef key;
    Read read;
  };
  static llvm::ArrayRef<Entry> schema();

  bool isForeignModel();
  void readKeys();
  void reportUnknownKey(const Node &key);

  template <int64_t ModelSpec::*field, int64_t most>
  void readSize(StringRef key, const Node &node) {
    if (std::optional<int64_t> read = value.integer(key, node, 1, most))
      spec.*field = *read;
  }
  template <bool ModelSpec::*field>
  void readFlag(StringRef key, const Node &node) {
    if (std::optional<bool> read = value.boolean(key, node))
      spec.*field = *read;
  }
  template <std::optional<std::string> ParsedSpec::*field>
  void readPath(StringRef key, const Node &node) {
    parsed.*field = value.string(key, node);
  }

  void readName(StringRef key, const Node &node);
  void readGluDim(StringRef key, const Node &node);
  void readActivation(StringRef key, const Node &node);
  void readNorm(StringRef key, const Node &node);
  void readNormEps(StringRef key, const Node &node);
  void readInitStd(StringRef key, const Node &node);
  // These need other keys first; resolve() reads them.
  void readLater(StringRef, const Node &) {}
  void ignore(StringRef, const Node &) {}

  void resolveGlu();
  void resolveNormBias();
  void resolveLrpe();
  void resolveDecay();
  void resolveSlopes(const Node &node);
  bool readSlopeList(const Node &node, std::vector<double> &slopes);
  void resolveAttentionScale();
  void resolveEmbeddingScale();
  void resolveTokenIds();
  std::optional<int64_t> resolveTokenId(StringRef key, int64_t otherwise);
  void checkRelations();

  // The value of a key, or null when the file leaves it out.
  const Node *find(StringRef key) const {
    auto found = values.find(key);
    return found == values.end() ? nullptr : found->second;
  }
  // Where to point: at the first of the keys that the file gives.
  const Node &where(std::initializer_list<StringRef> keys) const {
    for (StringRef key : keys)
      if (const Node *node = find(key))
        return *node;
    return root;
  }

  StringRef file;
  const Node &root;
  Diagnostics &diagnostics;
  ValueReader value;
  llvm::StringMap<const Node *> values;
  ParsedSpec parsed;
  ModelSpec &spec = parsed.spec;
};

llvm::ArrayRef<SpecReader::Entry> SpecReader::schema() {
  using S = SpecReader;
  using M = ModelSpec;
  static const Entry entries[] = {
      {"name", &S::readName},
      {"vocab_size", &S::readSize<&M::vocabSize, maxVocab>},
      {"decoder_embed_dim", &S::readSize<&M::embedDim, maxWidth>},
      {"decoder_layers", &S::readSize<&M::layers, maxLayers>},
      {"decoder_attention_heads", &S::readSize<&M::heads, maxHeads>},
      {"hidden_dim", &S::readSize<&M::hiddenDim, maxWidth>},
      {"glu_dim", &S::readGluDim},
      {"linear_act_fun", &S::readActivation},
      {"norm_type", &S::readNorm},
      {"norm_eps", &S::readNormEps},
      {"norm_bias", &S::readLater},
      {"linear_use_lrpe_list", &S::readLater},
      {"decay", &S::readLater},
      {"attention_scale", &S::readLater},
      {"attention", &S::readLater},
      {"attention_block", &S::readLater},
      {"softmax_scale", &S::readLater},
      {"gate", &S::readLater},
      {"glu_act_fun", &S::readLater},
      {"position_encoding", &S::readLater},
      {"rope_theta", &S::readLater},
      {"absolute_positions", &S::readLater},
      {"max_position_embeddings", &S::readLater},
      {"bias", &S::readFlag<&M::bias>},
      {"tie_word_embeddings", &S::readFlag<&M::tiedHead>},
      {"no_scale_embedding", &S::readLater},
      {"embedding_scale", &S::readLater},
      {"pad_token_id", &S::readLater},
      {"bos_token_id", &S::readLater},
      {"eos_token_id", &S::readLater},
      {"add_bos_token", &S::readFlag<&M::addBosToken>},
      {"init_std", &S::readInitStd},
      {"weights", &S::readPath<&ParsedSpec::weights>},
      {"tokenizer", &S::readPath<&ParsedSpec::tokenizer>},
      {"model_type", &S::ignore}, // isForeignModel reads these two
      {"architectures", &S::ignore},
  };
  return entries;
}

ParsedSpec SpecReader::read() {
  if (root.kind != Node::Mapping) {
    value.error(root, "expected a mapping of keys to values, found " +
                          root.describe());
    return std::move(parsed);
  }
  // Another architecture's keys are all unknown: one message says it better.
  if (isForeignModel())
    return std::move(parsed);
  readKeys();
  resolveGlu();
  resolveNormBias();
  resolveAttentionScale();
  resolveEmbeddingScale();
  resolveTokenIds();
  // The lists below have `layers` and `heads` entries: sizes must be right.
  if (!diagnostics.hasErrors()) {
    resolveLrpe();
    resolveDecay();
    readVariants(spec, value, [&](StringRef key) { return find(key); });
    checkRelations();
  }
  const Node *tie = find("tie_word_embeddings");
  parsed.untiedGiven = tie && !spec.tiedHead;
  return std::move(parsed);
}

bool SpecReader::isForeignModel() {
  auto isOurs = [](StringRef name) {
    return name.starts_with_insensitive("transnormer");
  };
  for (size_t i = 0; i < root.keys.size(); ++i) {
    const Node &node = root.items[i];
    if (root.keys[i].text == "model_type" && node.kind == Node::Scalar &&
        !isOurs(node.text)) {
      value.expected("model_type", "transnormer", node);
      return true;
    }
    if (root.keys[i].text != "architectures")
      continue;
    for (const Node &name : node.items)
      if (!isOurs(name.text)) {
        value.expected("architectures", "[TransnormerForCausalLM]", name);
        return true;
      }
  }
  return false;
}

void SpecReader::readKeys() {
  for (size_t i = 0; i < root.keys.size(); ++i) {
    StringRef key = root.keys[i].text;
    values[key] = &root.items[i];
    const Entry *entry = llvm::find_if(
        schema(), [&](const Entry &candidate) { return candidate.key == key; });
    if (entry != schema().end())
      (this->*entry->read)(key, root.items[i]);
    else if (key == "quantization_config")
      value.error(root.keys[i], "quantised checkpoints are not supported; "
                                "expected f32, f16 or bf16 weights");
    else if (!llvm::is_contained(housekeepingKeys, key))
      reportUnknownKey(root.keys[i]);
  }
}

void SpecReader::reportUnknownKey(const Node &key) {
  std::vector<StringRef> known;
  for (const Entry &entry : schema())
    known.push_back(entry.key);
  Node shown = key;
  shown.quoted = false;
  value.error(key, "unknown key '" + shown.describe() + "'" +
                       didYouMean(key.text, known));
}

void SpecReader::readName(StringRef key, const Node &node) {
  if (std::optional<std::string> name = value.string(key, node)) {
    // Executables print it.
    if (printable(*name) != *name)
      return value.error(node,
                         "'name' must not hold control characters, found \"" +
                             printable(*name) + "\"");
    spec.name = *name;
    parsed.nameGiven = true;
  }
}

void SpecReader::readGluDim(StringRef key, const Node &node) {
  // -1 stands for D.
  if (node.kind == Node::Scalar && !node.quoted && node.text == "-1")
    spec.gluDim = -1;
  else
    readSize<&ModelSpec::gluDim, maxGlu>(key, node);
}

void SpecReader::readActivation(StringRef key, const Node &node) {
  if (std::optional<size_t> index = value.oneOf(key, node, activationNames))
    spec.activation = activations[*index];
}

void SpecReader::readNorm(StringRef key, const Node &node) {
  if (std::optional<size_t> index = value.oneOf(key, node, normNames))
    spec.norm = norms[*index];
}

void SpecReader::readNormEps(StringRef key, const Node &node) {
  if (std::optional<double> eps = value.number(key, node, /*positive=*/true)) {
    spec.normEps = *eps;
    parsed.normEpsGiven = true;
  }
}

void SpecReader::readInitStd(StringRef key, const Node &node) {
  if (std::optional<double> std = value.number(key, node, /*positive=*/false))
    spec.initStd = *std;
}

void SpecReader::resolveGlu() {
  if (spec.gluDim == -1)
    spec.gluDim = spec.embedDim;
}

void SpecReader::resolveNormBias() {
  if (!parsed.normEpsGiven)
    spec.normEps = defaultNormEps(spec.norm);
  spec.normBias = spec.norm == NormKind::Layer;
  const Node *node = find("norm_bias");
  if (!node)
    return;
  std::optional<bool> given = value.boolean("norm_bias", *node);
  if (!given)
    return;
  if (*given && spec.norm == NormKind::Srms)
    return value.error(*node, "'norm_bias' is true, but simplermsnorm has no "
                              "parameters");
  spec.normBias = *given;
  parsed.normBiasGiven = true;
}

void SpecReader::resolveLrpe() {
  spec.lrpe.assign(spec.layers, false);
  const Node *node = find("linear_use_lrpe_list");
  if (!node)
    return;
  if (node->kind != Node::Sequence)
    return value.expected("linear_use_lrpe_list", "a list", *node);
  if (!node->items.empty() && int64_t(node->items.size()) != spec.layers)
    return value.error(*node, "'linear_use_lrpe_list' has " +
                                  Twine(node->items.size()) +
                                  " entries; expected none or one per layer, " +
                                  Twine(spec.layers));
  for (size_t layer = 0; layer < node->items.size(); ++layer) {
    const Node &item = node->items[layer];
    bool isFlag = item.kind == Node::Scalar && !item.quoted;
    if (isFlag && (item.text == "1" || item.text == "true"))
      spec.lrpe[layer] = true;
    else if (!isFlag || (item.text != "0" && item.text != "false"))
      value.expected("linear_use_lrpe_list", "a list of 0 and 1", item);
  }
}

void SpecReader::resolveDecay() {
  const Node *node = find("decay");
  if (!node)
    return;
  const Node *rule = node, *slopes = nullptr;
  if (node->kind == Node::Mapping) {
    rule = nullptr;
    for (size_t i = 0; i < node->keys.size(); ++i) {
      if (node->keys[i].text == "rule")
        rule = &node->items[i];
      else if (node->keys[i].text == "slopes")
        slopes = &node->items[i];
      else
        value.error(node->keys[i], "unknown key '" + node->keys[i].text +
                                       "' of 'decay'; expected rule, slopes");
    }
    if (!rule)
      return value.error(*node, "'decay' has no 'rule'");
  }
  static constexpr StringRef names[] = {"transnormer", "headwise", "none",
                                        "explicit"};
  static constexpr DecayRule rules[] = {DecayRule::TransNormer,
                                        DecayRule::HeadWise, DecayRule::None,
                                        DecayRule::Explicit};
  std::optional<size_t> index = value.oneOf("decay", *rule, names);
  if (!index)
    return;
  spec.decay = rules[*index];
  if (spec.decay == DecayRule::Explicit) {
    if (!slopes)
      return value.error(*rule, "'decay' is explicit, but has no 'slopes'");
    resolveSlopes(*slopes);
  } else if (slopes) {
    value.error(*slopes, "'slopes' belong to the rule explicit, but the rule "
                         "is " +
                             names[*index]);
  }
}

bool SpecReader::readSlopeList(const Node &node, std::vector<double> &slopes) {
  if (node.kind != Node::Sequence || int64_t(node.items.size()) != spec.heads) {
    value.error(node, "'slopes' must hold one number per head, " +
                          Twine(spec.heads) + ", in each layer; found " +
                          (node.kind == Node::Sequence
                               ? std::to_string(node.items.size())
                               : node.describe()));
    return false;
  }
  for (const Node &item : node.items)
    slopes.push_back(
        value.number("slopes", item, /*positive=*/false).value_or(0.0));
  return true;
}

void SpecReader::resolveSlopes(const Node &node) {
  if (node.kind != Node::Sequence || node.items.empty())
    return value.expected("slopes",
                          "a list of numbers, or one such list per "
                          "layer",
                          node);
  // A flat list stands for every layer.
  if (node.items.front().kind != Node::Sequence) {
    std::vector<double> slopes;
    if (readSlopeList(node, slopes))
      spec.explicitSlopes.assign(spec.layers, slopes);
    return;
  }
  if (int64_t(node.items.size()) != spec.layers)
    return value.error(node, "'slopes' has " + Twine(node.items.size()) +
                                 " lists; expected one per layer, " +
                                 Twine(spec.layers));
  for (const Node &item : node.items) {
    spec.explicitSlopes.emplace_back();
    if (!readSlopeList(item, spec.explicitSlopes.back()))
      return;
  }
}

void SpecReader::resolveAttentionScale() {
  const Node *node = find("attention_scale");
  if (!node)
    return;
  if (node->kind == Node::Scalar && node->text == "rsqrt_key_width")
    spec.attentionScale =
        1.0 / std::sqrt(double(spec.hiddenDim) / double(spec.heads));
  else if (node->kind == Node::Scalar && !node->text.empty() &&
           llvm::isAlpha(node->text[0]))
    value.expected("attention_scale", "a number above 0 or rsqrt_key_width",
                   *node);
  else if (auto scale = value.number("attention_scale", *node, true))
    spec.attentionScale = *scale;
}

void SpecReader::resolveEmbeddingScale() {
  std::optional<bool> unscaled = false;
  if (const Node *node = find("no_scale_embedding"))
    unscaled = value.boolean("no_scale_embedding", *node);
  spec.embeddingScale =
      unscaled.value_or(false) ? 1.0 : std::sqrt(double(spec.embedDim));
  const Node *node = find("embedding_scale");
  if (!node)
    return;
  std::optional<double> scale = value.number("embedding_scale", *node, true);
  if (!scale)
    return;
  if (unscaled.value_or(false) && *scale != 1.0)
    value.error(*node, "'embedding_scale' is not 1, but no_scale_embedding is "
                       "true");
  spec.embeddingScale = *scale;
}

std::optional<int64_t> SpecReader::resolveTokenId(StringRef key,
                                                  int64_t otherwise) {
  const Node *node = find(key);
  if (node && node->kind == Node::Null)
    return std::nullopt;
  if (node)
    return value.integer(key, *node, 0, spec.vocabSize - 1);
  // A default that a tiny vocabulary does not have is no token at all.
  if (otherwise >= spec.vocabSize)
    return std::nullopt;
  return otherwise;
}

void SpecReader::resolveTokenIds() {
  spec.padTokenId = resolveTokenId("pad_token_id", 0);
  spec.bosTokenId = resolveTokenId("bos_token_id", 1);
  spec.eosTokenIds.clear();
  const Node *eos = find("eos_token_id");
  if (eos && eos->kind == Node::Sequence) {
    for (const Node &item : eos->items)
      if (auto id = value.integer("eos_token_id", item, 0, spec.vocabSize - 1))
        spec.eosTokenIds.push_back(*id);
  } else if (std::optional<int64_t> id = resolveTokenId("eos_token_id", 2)) {
    spec.eosTokenIds.push_back(*id);
  }
  if (spec.addBosToken && !spec.bosTokenId)
    value.error(where({"add_bos_token"}),
                "'add_bos_token' is true, but there is no bos_token_id");
}

void SpecReader::checkRelations() {
  if (spec.hiddenDim % spec.heads != 0)
    value.error(where({"hidden_dim", "decoder_attention_heads"}),
                "'hidden_dim' " + Twine(spec.hiddenDim) +
                    " is not a multiple of decoder_attention_heads, " +
                    Twine(spec.heads));
  // The published code sizes theta by D / H, so only then do the widths agree.
  if (spec.anyLrpe() && spec.hiddenDim != spec.embedDim)
    value.error(where({"hidden_dim", "decoder_embed_dim"}),
                "'hidden_dim' " + Twine(spec.hiddenDim) +
                    " differs from decoder_embed_dim " + Twine(spec.embedDim) +
                    ", which LRPE (linear_use_lrpe_list) does not allow");
  if (!diagnostics.hasErrors() && spec.numParameters() > maxParameters)
    value.error(root, "the sizes ask for " + Twine(spec.numParameters()) +
                          " parameters; at most " + Twine(maxParameters) +
                          " are supported");
}
} // namespace

double tnllm::spec::defaultNormEps(NormKind norm) {
  return norm == NormKind::Layer ? 1e-5 : 1e-6;
}

ParsedSpec tnllm::spec::readSpec(StringRef file, const Node &root,
                                 Diagnostics &diagnostics) {
  return SpecReader(file, root, diagnostics).read();
}
