/* The C ABI between generated code and the runtime.
 *
 * Generated code exports one symbol, `tnrt_model`, and calls only what ABI.def
 * lists. Everything here is plain C and free of LLVM. */
#ifndef TNRT_ABI_H
#define TNRT_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever ABI.def, tnrt_module or the manifest's schema changes. */
#define TNRT_ABI_VERSION 6

typedef int64_t tnrt_i64;
typedef int32_t tnrt_i32;
typedef void *tnrt_ptr;
typedef void tnrt_void;

#define TNRT_ABI(name, result, parameters) result name parameters;
#include "tnrt/ABI.def"

/* A kernel runs one task of a launch. `args` are the launch's arguments: each
 * element is a pointer, or an int64 stored in the pointer's bits. */
typedef void (*tnrt_kernel)(void *const *args, int64_t task);

/* Runs `batch` sequences of `length` tokens each through the whole stack.
 *   tokens    int32 [batch, length], each in [0, vocab_size)
 *   positions int64 [batch]: position of each sequence's first token
 *   hidden    f32 [batch, length, D]: output of the final norm
 * The states (tnrt_state) are read and updated in place.
 * prefill: batch * length <= capacity.prefill_rows; any length >= 1.
 * decode:  length == 1 and batch <= capacity.decode_rows. */
typedef void (*tnrt_forward)(void *context, int64_t batch, int64_t length,
                             const int32_t *tokens, const int64_t *positions,
                             float *hidden);

/* The same for sequences of different lengths, one after the other: `rows` tokens
 * in all, at least 1, of `sequences` sequences.
 *   tokens    int32 [rows], each in [0, vocab_size)
 *   positions int64 [rows]: of each token in its sequence
 *   offsets   int64 [sequences + 1]: the tokens of sequence s are those from
 *             offsets[s] to offsets[s + 1] - 1, maybe none; from 0 to rows
 *   hidden    f32 [rows, D]
 * The states are those of the sequences. rows <= capacity.prefill_rows and
 * sequences <= capacity.prefill_rows. */
typedef void (*tnrt_packed)(void *context, int64_t rows, int64_t sequences,
                            const int32_t *tokens, const int64_t *positions,
                            const int64_t *offsets, float *hidden);

/* logits f32 [rows, V] of hidden f32 [rows, D]; rows <= capacity.head_rows. */
typedef void (*tnrt_head)(void *context, int64_t rows, const float *hidden,
                          float *logits);

/* The mean cross entropy of `labels`, of training programs: [1] at `loss`.
 *   tokens, labels int32 [batch, length], tokens each in [0, vocab_size), labels
 *   too, or negative where none counts; at least one counts
 *   positions      int64 [batch]: position of each sequence's first token
 * batch * length <= training.max_tokens, batch <= training.max_sequences. Each
 * sequence begins with states of zeros. */
typedef void (*tnrt_loss)(void *context, int64_t batch, int64_t length,
                          const int32_t *tokens, const int32_t *labels,
                          const int64_t *positions, float *loss);

/* The same, and adds `scale` [1] times the loss's gradient to what tnrt_gradient
 * gives for each parameter. */
typedef void (*tnrt_loss_gradient)(void *context, int64_t batch, int64_t length,
                                   const int32_t *tokens, const int32_t *labels,
                                   const int64_t *positions, const float *scale,
                                   float *loss);

/* Flat arrays of parameters, gradients and moments are f32 [chunks,
 * TNRT_OPTIMIZER_CHUNK]; a parameter begins with a chunk, zeros follow its end. */
enum { TNRT_OPTIMIZER_CHUNK = 1024, TNRT_ADAMW_FACTORS = 8 };

/* norm [1]: the L2 norm of all gradients, infinite or NaN where its square is no f32.
 * `sums` is room for f32 [chunks]. */
typedef void (*tnrt_gradient_norm)(void *context, int64_t chunks,
                                   const float *gradients, float *sums,
                                   float *norm);

/* One step of AdamW. `factors` are f32 [TNRT_ADAMW_FACTORS]: the gradients' scale s;
 * 1 - lr * weight decay; 1 - beta1; beta2; 1 - beta2; lr / (1 - beta1^t);
 * sqrt(1 - beta2^t); epsilon. `decays` is f32 [chunks], 1 for chunks whose parameter
 * decays, else 0. With g = s * gradient, of each element:
 *   m += (1 - beta1) (g - m)        v = beta2 v + (1 - beta2) g^2
 *   p = decay p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon) */
typedef void (*tnrt_adamw)(void *context, int64_t chunks, const float *factors,
                           const float *decays, const float *gradients,
                           float *parameters, float *first, float *second);

/* Chooses a token for each row of logits f32 [rows, V]: tokens int32 [rows], -1
 * where no logit is larger than -infinity. `settings` are f32
 * [rows, TNRT_SAMPLE_SETTINGS]: 1 / temperature or 0 for the likeliest; k or 0 for
 * all; p or 1 for all; log(minP) or -infinity; where to draw, in [0, 1).
 * rows <= capacity.head_rows. */
typedef void (*tnrt_sample)(void *context, int64_t rows, const float *logits,
                            const float *settings, int32_t *tokens);

enum { TNRT_SAMPLE_SETTINGS = 5 };

/* A kernel of a GPU program; tnrt_launch_device names it by its place in the
 * module's table. */
struct tnrt_device_kernel {
  const char *name;     /* in the image, NUL-terminated */
  int64_t threads;      /* of a block */
  int64_t shared_bytes; /* dynamic shared memory of a block */
  int64_t num_params;
  const uint8_t *param_kinds; /* [num_params], TNRT_PARAM_... */
  /* 1: waits itself for the kernels launched before it and lets the next start
   * early, so that it may be launched while they run. Else 0. */
  int64_t overlaps;
  /* What a launch moves and computes, for whoever measures it: bytes whatever its
   * size, for each row and for each sequence of the call; floating-point operations
   * for each row. */
  int64_t bytes;
  int64_t bytes_of_row;
  int64_t bytes_of_sequence;
  int64_t flops_of_row;
};

enum {
  TNRT_PARAM_SLOT = 0, /* 8 bytes: a device pointer or an int64 */
  TNRT_PARAM_MAP = 1   /* 128 bytes, aligned to 64: a tensor map by value */
};

/* Of tnrt_matmul's `form`. */
enum {
  TNRT_MATMUL_X_TRANSPOSED = 1, /* x is [k, rows] */
  TNRT_MATMUL_W_PLAIN = 2,      /* w is [k, n] */
  TNRT_MATMUL_ACCUMULATE = 4    /* y += the product, y f32 */
};

struct tnrt_module {
  uint64_t abi_version; /* TNRT_ABI_VERSION of the compiler */
  const char *manifest; /* JSON, not NUL-terminated; see docs/Manifest.md */
  uint64_t manifest_size;
  /* Null in training programs. */
  tnrt_forward prefill;
  tnrt_forward decode;
  tnrt_head head;
  /* GPU programs only, null and 0 in others: a cubin, or PTX that ends in NUL;
   * its kernels. The three entry points run on the host all the same; the
   * pointers they are given are device pointers. */
  const void *device_image;
  uint64_t device_image_size;
  const struct tnrt_device_kernel *device_kernels;
  uint64_t num_device_kernels;
  /* Bytes that kernels read, copied to the device when the module is loaded; what
   * tnrt_constants gives. Null and 0 where there are none. */
  const void *device_constants;
  uint64_t device_constants_size;
  /* Of training programs, null in others. */
  tnrt_loss evaluate;
  tnrt_loss_gradient gradient;
  tnrt_sample sample; /* null where the program leaves it to the runtime */
  tnrt_packed packed; /* null in training programs */
  /* Of training programs of a GPU, null in others. */
  tnrt_gradient_norm gradient_norm;
  tnrt_adamw adamw;
};

/* Defined by generated code. */
extern const struct tnrt_module tnrt_model;

#ifdef __cplusplus
}
#endif

#endif /* TNRT_ABI_H */
