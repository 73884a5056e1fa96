/* The kernel that a GPU program may carry for the runtime to launch itself, so
 * that the logits of a text that is scored never leave the GPU. It is found by
 * its name in tnrt_module's table of kernels; a program without it leaves the
 * sums to the runtime. Part of the C ABI, as tnrt/abi.h is.
 *
 * Arguments, all device pointers: logits f32 [rows, V], labels int32 [rows],
 * each in [0, V), and scores f32 [rows], the natural logarithm of
 * softmax(logits)[label]. A task is a row. Where logits are not finite, a score
 * may be no number. */
#ifndef TNRT_SCORE_H
#define TNRT_SCORE_H

#define TNRT_SCORE_KERNEL "score_rows"

enum { TNRT_SCORE_PARAMS = 3 };

#endif /* TNRT_SCORE_H */
