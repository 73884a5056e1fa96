// The resolved description of one TransNormerLLM, or of a model that it is
// compared with (docs/ModelSpec.md, Ablations): every property that changes
// what the model computes, explicit and checked, with nothing left to a default
// of the reader. docs/ModelSpec.md says how files spell it; the notation is
// that of arXiv 2307.14995: D model width, H heads, G GLU width, L layers, V
// vocabulary, Dk and Dv per-head widths of q,k and of v.
#ifndef TNLLM_SPEC_MODELSPEC_H
#define TNLLM_SPEC_MODELSPEC_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tnllm {

// phi of q = phi(q), k = phi(k). Spelled as in `linear_act_fun`.
enum class Activation {
  None,       // x
  Silu,       // x * sigmoid(x)
  Gelu,       // x/2 * (1 + erf(x / sqrt 2)): the exact form
  Relu,       // max(x, 0)
  Elu,        // x > 0 ? x : exp(x) - 1
  Sigmoid,    // 1 / (1 + exp(-x))
  Exp,        // exp(x - max(x)), the maximum over each head
  OnePlusElu, // 1 + elu(x)
  TwoPlusElu, // 2 + elu(x)
  LeakyRelu,  // x > 0 ? x : 0.01 x
};

// One kind for all norms of a model.
enum class NormKind {
  Srms,  // x * rsqrt(mean(x^2) + eps), no parameters
  Rms,   // the same times a weight [+ bias]
  Layer, // (x - mean) * rsqrt(var + eps) * weight [+ bias]
};

// What slopes(l) returns; a head's decay is lambda = exp(-slope).
enum class DecayRule {
  TransNormer, // headSlope(h) * (1 - l/(L-1) + 1e-5)
  HeadWise,    // headSlope(h) in every layer
  None,        // 0: lambda = 1
  Explicit,    // explicitSlopes[l][h]
};

// What a layer mixes positions by.
enum class AttentionKind {
  Linear,  // lightning attention, its output normalised: NormAttention of
           // arXiv 2210.10340 where there is no decay
  Softmax, // causal softmax attention
  Diag,    // the same inside blocks of positions: DiagAttention
};

llvm::StringRef stringify(Activation); // "silu", "1+elu", "leak", ...
llvm::StringRef stringify(NormKind); // "simplermsnorm", "rmsnorm", "layernorm"
llvm::StringRef
    stringify(DecayRule); // "transnormer", "headwise", "none", "explicit"
llvm::StringRef stringify(AttentionKind); // "linear", "softmax", "diag"

// How random weights fill a parameter (docs/Manifest.md, `init`).
struct ParameterInit {
  enum Kind { Normal, Constant, LrpeTheta } kind;
  double value = 0; // the std of Normal, the value of Constant
};

// What a parameter is for. Linear weights are [out, in], so y = x W^T.
enum class ParameterRole {
  Embedding,       // [V, D]
  Positions,       // [maxPositions, D], where positions are learned
  TokenNormWeight, // [D], likewise the bias; norms have parameters unless Srms
  TokenNormBias,
  QkvuWeight,      // [4 * hidden, D]: rows of q, k, v, u in this order; without
  QkvuBias,        // a gate there is no u, and 3 * hidden
  LrpeTheta,       // [H, 1, Dk before doubling], where LRPE is on
  MixerNormWeight, // [hidden]: the norm over the merged heads of linear layers
  MixerNormBias,
  OutWeight,         // [D, hidden]
  OutBias,           // [D]
  ChannelNormWeight, // [D]
  ChannelNormBias,
  L1Weight,        // [G, D]
  L1Bias,          // [G]
  L2Weight,        // [G, D]
  L2Bias,          // [G]
  L3Weight,        // [D, G]
  L3Bias,          // [D]
  FinalNormWeight, // [D]
  FinalNormBias,
  Head, // [V, D]; absent when the head is tied
};

struct Parameter {
  ParameterRole role;
  int64_t layer;      // -1 outside the layers
  std::string tensor; // its name in the checkpoint
  std::vector<int64_t> shape;
  ParameterInit init;

  int64_t numElements() const;
};

struct ModelSpec {
  std::string name;

  int64_t vocabSize = 64000;
  int64_t embedDim = 1024;  // D
  int64_t layers = 24;      // L
  int64_t heads = 8;        // H
  int64_t hiddenDim = 1024; // H * Dv; equals D when any layer has LRPE
  int64_t gluDim = 2816;    // G

  Activation activation = Activation::Silu; // of q and k in linear layers
  // The GLU is (f(x W1) * (x W2)) W3. Not Exp.
  Activation gluActivation = Activation::None;
  NormKind norm = NormKind::Srms;
  double normEps = 1e-6;
  bool normBias = false; // false with Srms

  std::vector<bool> lrpe; // L entries
  DecayRule decay = DecayRule::TransNormer;
  std::vector<std::vector<double>>
      explicitSlopes;          // [L][H] with Explicit, else empty
  double attentionScale = 1.0; // multiplies q k^T, so also o, in linear layers

  std::vector<AttentionKind> attention; // L entries; none: all linear
  int64_t attentionBlock = 64;          // positions of a block of Diag
  double softmaxScale = 1.0;            // multiplies q k^T in the other layers
  bool gate = true;                     // u * o before out_proj
  std::optional<double> ropeTheta;      // base of RoPE on q and k; absent: none
  bool absolutePositions = false; // a learned row is added to the embedding's
  // The most positions of a sequence, which sizes caches and learned positions;
  // 0: any number, where no layer is Softmax and positions are not learned.
  int64_t maxPositions = 0;

  bool bias = false; // of qkvu_proj, out_proj, l1, l2 and l3; the head has none
  bool tiedHead = false;
  double embeddingScale = 32; // x0 = embeddingScale * E[token]

  // Absent when the config says null. No text ever ends when eos is empty.
  std::optional<int64_t> padTokenId = 0;
  std::optional<int64_t> bosTokenId = 1;
  std::vector<int64_t> eosTokenIds = {2};
  bool addBosToken = false;
  double initStd = 0.02;

  // Dv, and Dk without LRPE.
  int64_t headWidth() const { return hiddenDim / heads; }
  // Dk of layer l as the attention and its state see it: LRPE doubles it.
  int64_t keyWidth(int64_t layer) const {
    return lrpe[layer] ? 2 * headWidth() : headWidth();
  }
  int64_t valueWidth() const { return headWidth(); }
  bool anyLrpe() const;
  AttentionKind attentionOf(int64_t layer) const {
    return attention.empty() ? AttentionKind::Linear : attention[layer];
  }
  // Rows and columns of layer l's state of one head: [Dk, Dv], or a cache of
  // [positions, Dk + Dv] with a key and a value in each row.
  std::pair<int64_t, int64_t> stateShape(int64_t layer) const;
  // True where a layer keeps the keys of all positions, or they are learned.
  bool limitsPositions() const;
  // q, k, v and, with a gate, u.
  int64_t projections() const { return gate ? 4 : 3; }

  // The H slopes of layer l, all >= 0.
  std::vector<double> slopes(int64_t layer) const;

  // Every parameter in a fixed order: embedding, layer by layer, final norm,
  // head. Its index is the `i` of the manifest and of tnrt_param.
  std::vector<Parameter> parameters() const;
  // The index in parameters(), or nothing where the model has no such one.
  std::optional<int64_t> parameterIndex(ParameterRole role,
                                        int64_t layer = -1) const;
  int64_t numParameters() const; // elements, of all parameters

  // The manifest's "model" object, on one line: config.json's keys plus the
  // explicit ones, always all of them and in one order, so that equal specs
  // give equal text. loadModel reads it back as a .json file.
  std::string toJSON() const;
};

// slope(h), h = 0..heads-1: with r = 2^(-8/H), r^(h+1) for H a power of two;
// otherwise those of P, the largest power of two below H, followed by elements
// 0, 2, 4, ... of those of 2P.
std::vector<double> headSlopes(int64_t heads);

} // namespace tnllm

#endif // TNLLM_SPEC_MODELSPEC_H
