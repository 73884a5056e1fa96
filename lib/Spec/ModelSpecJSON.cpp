// Prints a spec as the canonical "model" object of docs/Manifest.md.
#include "tnllm/Spec/ModelSpec.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

using namespace tnllm;

namespace {
// The shortest decimal that reads back as the same double: llvm::json prints 17
// digits, which makes 1e-6 unreadable.
std::string shortestDecimal(double value) {
  char text[40];
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value)
      break;
  }
  return text;
}

// One-line JSON object writer on top of llvm::json.
class Writer {
public:
  explicit Writer(llvm::raw_ostream &stream) : json(stream) {
    json.objectBegin();
  }
  ~Writer() { json.objectEnd(); }

  template <typename T> void put(llvm::StringRef key, T value) {
    json.attribute(key, value);
  }
  void put(llvm::StringRef key, double value) {
    json.attributeBegin(key);
    json.rawValue(shortestDecimal(value));
    json.attributeEnd();
  }
  template <typename T> void put(llvm::StringRef key, std::optional<T> value) {
    if (value)
      put(key, *value);
    else
      json.attribute(key, nullptr);
  }

  llvm::json::OStream json;
};

void putEos(Writer &out, const std::vector<int64_t> &ids) {
  if (ids.empty())
    return out.put("eos_token_id", nullptr);
  if (ids.size() == 1)
    return out.put("eos_token_id", ids.front());
  out.json.attributeArray("eos_token_id", [&] {
    for (int64_t id : ids)
      out.json.value(id);
  });
}

void putAttention(Writer &out, const ModelSpec &spec) {
  AttentionKind first = spec.attentionOf(0);
  bool isOne = std::all_of(spec.attention.begin(), spec.attention.end(),
                           [&](AttentionKind kind) { return kind == first; });
  if (isOne)
    return out.put("attention", stringify(first));
  out.json.attributeArray("attention", [&] {
    for (AttentionKind kind : spec.attention)
      out.json.value(stringify(kind));
  });
}

void putDecay(Writer &out, const ModelSpec &spec) {
  if (spec.decay != DecayRule::Explicit)
    return out.put("decay", stringify(spec.decay));
  out.json.attributeObject("decay", [&] {
    out.json.attribute("rule", stringify(spec.decay));
    out.json.attributeArray("slopes", [&] {
      for (const std::vector<double> &layer : spec.explicitSlopes)
        out.json.array([&] {
          for (double slope : layer)
            out.json.rawValue(shortestDecimal(slope));
        });
    });
  });
}
} // namespace

std::string ModelSpec::toJSON() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  {
    Writer out(stream);
    out.put("name", llvm::StringRef(name));
    out.put("vocab_size", vocabSize);
    out.put("decoder_embed_dim", embedDim);
    out.put("decoder_layers", layers);
    out.put("decoder_attention_heads", heads);
    out.put("hidden_dim", hiddenDim);
    out.put("glu_dim", gluDim);
    out.put("linear_act_fun", stringify(activation));
    out.put("norm_type", stringify(norm));
    out.put("norm_eps", normEps);
    out.put("norm_bias", normBias);
    out.json.attributeArray("linear_use_lrpe_list", [&] {
      for (bool flag : lrpe)
        out.json.value(flag ? 1 : 0);
    });
    putDecay(out, *this);
    out.put("attention_scale", attentionScale);
    putAttention(out, *this);
    out.put("attention_block", attentionBlock);
    out.put("softmax_scale", softmaxScale);
    out.put("gate", gate);
    out.put("glu_act_fun", stringify(gluActivation));
    out.put("rope_theta", ropeTheta);
    out.put("absolute_positions", absolutePositions);
    out.put("max_position_embeddings",
            maxPositions ? std::optional(maxPositions) : std::nullopt);
    out.put("bias", bias);
    out.put("tie_word_embeddings", tiedHead);
    out.put("no_scale_embedding", embeddingScale == 1.0);
    out.put("embedding_scale", embeddingScale);
    out.put("pad_token_id", padTokenId);
    out.put("bos_token_id", bosTokenId);
    putEos(out, eosTokenIds);
    out.put("add_bos_token", addBosToken);
    out.put("init_std", initStd);
  }
  return text;
}
