/* Runs one kernel by itself: checks it, times it and draws its roofline.
 *
 *   clang -O2 -march=native -I runtime/include driver.c KERNEL.o -lm
 *
 * KERNEL.o defines run(context, x, w, y) with y = silu(x W^T), f32:
 *   x  ROWS x DEPTH
 *   w  WIDTH / 64 panels of DEPTH x 64: column j of panel p is row 64 p + j of
 * W y  ROWS x WIDTH Exit status: 0, y is right; 1, it is not. docs/Tutorial.md
 * explains the rest. */
#include "tnrt/abi.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef ROWS
#define ROWS 1
#endif
#define DEPTH 4096
#define WIDTH 8192
#define PANEL 64
#define REPEATS 9

void run(void *context, const float *x, const float *w, float *y);

/* The one function of the runtime's ABI that a kernel's launch calls: here one
 * thread does all tasks. */
void tnrt_launch(void *context, void *kernel, int64_t tasks, void *args) {
  (void)context;
  for (int64_t task = 0; task < tasks; ++task)
    ((tnrt_kernel)kernel)((void *const *)args, task);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* Values in [-1, 1), the same on every machine. */
static float *make_random(size_t count, uint32_t seed) {
  float *data = aligned_alloc(64, count * sizeof(float));
  if (!data)
    abort();
  for (size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    data[i] = (float)(seed >> 8) / (1 << 23) - 1.0f;
  }
  return data;
}

/* The largest difference from f64, relative to the largest value. */
static double check(const float *x, const float *w, const float *y) {
  double error = 0, largest = 0;
  for (size_t row = 0; row < ROWS; ++row)
    for (size_t column = 0; column < WIDTH; ++column) {
      const float *panel = w + column / PANEL * DEPTH * PANEL + column % PANEL;
      double sum = 0;
      for (size_t k = 0; k < DEPTH; ++k)
        sum += (double)x[row * DEPTH + k] * panel[k * PANEL];
      double value = sum / (1 + exp(-sum));
      double difference = fabs(value - y[row * WIDTH + column]);
      if (!(difference <= error)) /* a NaN is an error, too */
        error = difference;
      largest = fmax(largest, fabs(value));
    }
  return error / largest;
}

typedef float lanes __attribute__((vector_size(64)));

/* Bytes per second of reading `count` floats, by one thread. */
static double measure_bandwidth(const float *data, size_t count) {
  double best = INFINITY;
  lanes sums[8] = {0};
  for (int repeat = 0; repeat < REPEATS; ++repeat) {
    double start = now();
    for (size_t i = 0; i < count; i += 8 * 16)
      for (int j = 0; j < 8; ++j)
        sums[j] += *(const lanes *)(data + i + 16 * j);
    best = fmin(best, now() - start);
  }
  for (int j = 0; j < 8; ++j)
    __asm__ volatile("" : : "m"(sums[j])); /* they are used */
  return count * sizeof(float) / best;
}

/* Multiply-adds on registers, as FLOP per second of one thread. */
static double measure_peak(void) {
  enum { CHAINS = 12, STEPS = 4000000 };
  double best = INFINITY;
  for (int repeat = 0; repeat < 3; ++repeat) {
    lanes sums[CHAINS], factor = {0}, term = {0};
    for (int j = 0; j < CHAINS; ++j)
      sums[j] = term + 1.0f;
    __asm__ volatile("" : "+m"(factor), "+m"(term)); /* not known to be zero */
    double start = now();
    for (int step = 0; step < STEPS; ++step)
#pragma clang loop unroll(full)
      for (int j = 0; j < CHAINS; ++j)
        sums[j] = __builtin_elementwise_fma(sums[j], factor, term);
    best = fmin(best, now() - start);
    for (int j = 0; j < CHAINS; ++j)
      __asm__ volatile("" : : "m"(sums[j]));
  }
  return 2.0 * 16 * CHAINS * STEPS / best;
}

int main(void) {
  float *x = make_random(ROWS * DEPTH, 1);
  float *w = make_random((size_t)WIDTH * DEPTH, 2);
  float *y = make_random(ROWS * WIDTH, 3);
  run(NULL, x, w, y);
  double error = check(x, w, y);
  printf("error      %.1e of the largest value: %s\n", error,
         error < 1e-5 ? "right" : "WRONG");

  double best = INFINITY;
  for (int repeat = 0; repeat < REPEATS; ++repeat) {
    double start = now();
    run(NULL, x, w, y);
    best = fmin(best, now() - start);
  }
  double flop = 2.0 * ROWS * WIDTH * DEPTH;
  double bytes = 4.0 * ((double)WIDTH * DEPTH + ROWS * (DEPTH + WIDTH));
  double bandwidth = measure_bandwidth(w, (size_t)WIDTH * DEPTH);
  double peak = measure_peak();
  double roof = fmin(peak, bandwidth * flop / bytes);
  printf("time       %.2f ms, the best of %d\n", 1e3 * best, REPEATS);
  printf("work       %.1f MFLOP on %.1f MB: %.2f FLOP for each byte\n",
         1e-6 * flop, 1e-6 * bytes, flop / bytes);
  printf("speed      %.1f GFLOP/s, %.1f GB/s\n", 1e-9 * flop / best,
         1e-9 * bytes / best);
  printf("machine    %.1f GFLOP/s, %.1f GB/s on one core\n", 1e-9 * peak,
         1e-9 * bandwidth);
  printf("roofline   the lesser of %.1f and %.2f x %.1f: %.1f GFLOP/s, "
         "%.0f %% reached\n",
         1e-9 * peak, flop / bytes, 1e-9 * bandwidth, 1e-9 * roof,
         100 * flop / best / roof);
  return error < 1e-5 ? 0 : 1;
}
