// A hand-written compiled module: what the compiler would emit for a toy model,
// so that the runtime and the program around it are tested without the
// compiler.
//
// Per token, with E[V, D] the embedding, W[V, D] the head (in panels), and one
// state [H, Dk, Dv] a layer whose first two elements are used:
//   state[0] += 1;  state[1] = 0.5 * state[1] + token
//   hidden[d] = E[token, d] + position / 64 +
//               sum over layers of (state[0] + state[1]) / 1024
//   logits[v] = sum over d of hidden[d] * W[v, d]
// Every token is computed alone, so results do not depend on how calls are
// split, to the last bit. Header-only; a test includes it in one file.
#ifndef TNRT_TEST_FAKEMODULE_H
#define TNRT_TEST_FAKEMODULE_H

#include "tnrt/abi.h"

#include <cstdint>
#include <string>

namespace tnrt::fake {

struct Config {
  int64_t vocabulary = 256, width = 16, layers = 2;
  int64_t heads = 2, keyWidth = 2, valueWidth = 3;
  int64_t prefillRows = 8, decodeRows = 3, headRows = 4;
  int64_t panelWidth = 8;
  int64_t maxPositions = 0; // 0: any number
  std::string headTensor = "lm_head.weight";
  bool sampling = false; // the program chooses tokens: only of a GPU program
  std::string required;  // JSON strings, as in: "avx2", "fma"
  std::string weights = R"({"kind": "random", "seed": 7})";
  std::string tokenizer = R"({"kind": "bytes"})";
};

// What the running module was made from, and what it saw.
struct Running {
  Config config;
  std::string manifest;
  tnrt_module module{};
  int64_t prefillCalls = 0, decodeCalls = 0, headCalls = 0, sampleCalls = 0;
  int64_t packedCalls = 0;
  bool exceeded = false; // a call beyond the capacity
};

inline Running &running() {
  static Running instance;
  return instance;
}

inline int64_t stateElements() {
  const Config &c = running().config;
  return c.heads * c.keyWidth * c.valueWidth;
}

// Tokens [begin, end) of a call, which are those of sequence `row` of a batch.
// state(layer) is where the batch's states of a layer begin; factors: those of
// the state's two numbers.
template <typename Position, typename State>
void forwardTokens(int64_t row, int64_t begin, int64_t end,
                   const int32_t *tokens, Position positionOf,
                   const float *embedding, const float (&factors)[2],
                   State state, float *hidden) {
  const Config &c = running().config;
  for (int64_t t = begin; t < end; ++t) {
    const int32_t token = tokens[t];
    float extra = static_cast<float>(positionOf(t)) / 64;
    for (int64_t layer = 0; layer < c.layers; ++layer) {
      float *numbers = state(layer) + row * stateElements();
      numbers[0] += factors[0];
      numbers[1] = factors[1] * numbers[1] + static_cast<float>(token);
      extra += (numbers[0] + numbers[1]) / 1024;
    }
    for (int64_t d = 0; d < c.width; ++d)
      hidden[t * c.width + d] = embedding[token * c.width + d] + extra;
  }
}

// One sequence of a batch of one length.
template <typename State>
void forwardSequence(int64_t row, int64_t length, const int32_t *tokens,
                     const int64_t *positions, const float *embedding,
                     const float (&factors)[2], State state, float *hidden) {
  forwardTokens(
      row, row * length, (row + 1) * length, tokens,
      [&](int64_t t) { return positions[row] + t - row * length; }, embedding,
      factors, state, hidden);
}

inline const float kFactors[] = {1, 0.5f};

// args: context, tokens, positions, hidden, length. One task a sequence.
inline void forwardKernel(void *const *args, int64_t row) {
  void *context = args[0];
  forwardSequence(
      row, reinterpret_cast<int64_t>(args[4]),
      static_cast<const int32_t *>(args[1]),
      static_cast<const int64_t *>(args[2]),
      static_cast<const float *>(tnrt_param(context, 0)), kFactors,
      [context](int64_t layer) {
        return static_cast<float *>(tnrt_state(context, layer));
      },
      static_cast<float *>(args[3]));
}

// args: context, tokens, positions, hidden, offsets. One task a sequence.
inline void packedKernel(void *const *args, int64_t row) {
  void *context = args[0];
  const auto *positions = static_cast<const int64_t *>(args[2]);
  const auto *offsets = static_cast<const int64_t *>(args[4]);
  forwardTokens(
      row, offsets[row], offsets[row + 1],
      static_cast<const int32_t *>(args[1]),
      [positions](int64_t t) { return positions[t]; },
      static_cast<const float *>(tnrt_param(context, 0)), kFactors,
      [context](int64_t layer) {
        return static_cast<float *>(tnrt_state(context, layer));
      },
      static_cast<float *>(args[3]));
}

// args: context, hidden, logits, rows. One task a panel.
inline void headKernel(void *const *args, int64_t panel) {
  const Config &c = running().config;
  const float *hidden = static_cast<const float *>(args[1]);
  float *logits = static_cast<float *>(args[2]);
  const int64_t rows = reinterpret_cast<int64_t>(args[3]);
  const float *weights = static_cast<const float *>(tnrt_param(args[0], 1)) +
                         panel * c.panelWidth * c.width;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t n = 0; n < c.panelWidth; ++n) {
      const int64_t v = panel * c.panelWidth + n;
      if (v >= c.vocabulary)
        continue;
      float sum = 0;
      for (int64_t d = 0; d < c.width; ++d)
        sum += hidden[r * c.width + d] * weights[d * c.panelWidth + n];
      logits[r * c.vocabulary + v] = sum;
    }
}

inline void forward(void *context, int64_t batch, int64_t length,
                    const int32_t *tokens, const int64_t *positions,
                    float *hidden) {
  const Config &c = running().config;
  void *args[] = {context, const_cast<int32_t *>(tokens),
                  const_cast<int64_t *>(positions), hidden,
                  reinterpret_cast<void *>(length)};
  tnrt_launch(context, reinterpret_cast<void *>(&forwardKernel), batch, args);
  tnrt_probe(context, 0, hidden, batch * length, c.width);
}

using Forward = void(void *context, int64_t batch, int64_t length,
                     const int32_t *tokens, const int64_t *positions,
                     float *hidden);

// Entry points around `compute`: they count calls and see whether the capacity
// is kept.
template <Forward compute>
void prefillBy(void *context, int64_t batch, int64_t length,
               const int32_t *tokens, const int64_t *positions, float *hidden) {
  ++running().prefillCalls;
  running().exceeded |= batch * length > running().config.prefillRows;
  compute(context, batch, length, tokens, positions, hidden);
}

template <Forward compute>
void decodeBy(void *context, int64_t batch, int64_t length,
              const int32_t *tokens, const int64_t *positions, float *hidden) {
  ++running().decodeCalls;
  running().exceeded |= length != 1 || batch > running().config.decodeRows;
  compute(context, batch, length, tokens, positions, hidden);
}

inline void countPacked(int64_t rows, int64_t sequences) {
  ++running().packedCalls;
  const int64_t most = running().config.prefillRows;
  running().exceeded |= rows < 1 || rows > most || sequences > most;
}

inline void packed(void *context, int64_t rows, int64_t sequences,
                   const int32_t *tokens, const int64_t *positions,
                   const int64_t *offsets, float *hidden) {
  countPacked(rows, sequences);
  running().exceeded |= offsets[0] != 0 || offsets[sequences] != rows;
  void *args[] = {context, const_cast<int32_t *>(tokens),
                  const_cast<int64_t *>(positions), hidden,
                  const_cast<int64_t *>(offsets)};
  tnrt_launch(context, reinterpret_cast<void *>(&packedKernel), sequences,
              args);
  tnrt_probe(context, 0, hidden, rows, running().config.width);
}

inline void countHead(int64_t rows) {
  ++running().headCalls;
  running().exceeded |= rows > running().config.headRows;
}

inline constexpr Forward *prefill = prefillBy<forward>;
inline constexpr Forward *decode = decodeBy<forward>;

inline void head(void *context, int64_t rows, const float *hidden,
                 float *logits) {
  const Config &c = running().config;
  countHead(rows);
  void *args[] = {context, const_cast<float *>(hidden), logits,
                  reinterpret_cast<void *>(rows)};
  tnrt_launch(context, reinterpret_cast<void *>(&headKernel),
              (c.vocabulary + c.panelWidth - 1) / c.panelWidth, args);
}

inline std::string manifestText(const Config &c) {
  auto number = [](int64_t value) { return std::to_string(value); };
  const std::string matrix =
      R"("shape": [)" + number(c.vocabulary) + ", " + number(c.width) +
      R"(], "dtype": "f32", "init": {"kind": "normal", "std": 0.5})";
  std::string states;
  for (int64_t layer = 0; layer < c.layers; ++layer)
    states += std::string(layer ? ", " : "") + R"({"heads": )" +
              number(c.heads) + R"(, "key_width": )" + number(c.keyWidth) +
              R"(, "value_width": )" + number(c.valueWidth) + "}";
  return R"({"abi": )" + number(TNRT_ABI_VERSION) +
         R"(, "compiler": "fake", "fingerprint": "00112233445566778899aabbccddeeff",
  "target": {"triple": "x86_64-unknown-linux-gnu", "march": "x86-64-v4",
             "cpu": "x86-64-v4", "requires": [)" +
         c.required + R"(]},
  "dtype": "f32",
  "model": {"name": "fake", "vocab_size": )" +
         number(c.vocabulary) + R"(, "decoder_embed_dim": )" + number(c.width) +
         R"(, "decoder_layers": )" + number(c.layers) +
         R"(, "decoder_attention_heads": )" + number(c.heads) +
         R"(, "hidden_dim": )" + number(c.width) + R"(, "glu_dim": )" +
         number(c.width) + R"(, "max_position_embeddings": )" +
         (c.maxPositions ? number(c.maxPositions) : "null") +
         R"(, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "add_bos_token": false},
  "capacity": {"prefill_rows": )" +
         number(c.prefillRows) + R"(, "decode_rows": )" + number(c.decodeRows) +
         R"(, "head_rows": )" + number(c.headRows) + R"(},
  "arena_bytes": 4096,
  "states": [)" +
         states + R"(],
  "parameters": [
    {"tensor": "model.embed_tokens.weight", "layout": {"kind": "rows"}, )" +
         matrix + R"(},
    {"tensor": ")" +
         c.headTensor + R"(", "layout": {"kind": "panels", "width": )" +
         number(c.panelWidth) + R"(, "step": 1}, )" + matrix + R"(}],
  "probes": ["hidden.0"],
  "weights": )" +
         c.weights + R"(, "tokenizer": )" + c.tokenizer + "}";
}

// Makes `config` the running module; one at a time.
inline const tnrt_module &makeModule(const Config &config = {}) {
  Running &instance = running();
  instance = Running{};
  instance.config = config;
  instance.manifest = manifestText(config);
  instance.module.abi_version = TNRT_ABI_VERSION;
  instance.module.manifest = instance.manifest.data();
  instance.module.manifest_size = instance.manifest.size();
  instance.module.prefill = prefill;
  instance.module.decode = decode;
  instance.module.head = head;
  instance.module.packed = packed;
  return instance.module;
}

} // namespace tnrt::fake

#endif // TNRT_TEST_FAKEMODULE_H
