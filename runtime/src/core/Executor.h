// What generated code's `void *context` points to: the C ABI (tnrt/ABI.def) as
// an interface, one member for each entry. Abi.cpp forwards.
#ifndef TNRT_CORE_EXECUTOR_H
#define TNRT_CORE_EXECUTOR_H

#include <cstdint>

namespace tnrt {

// y[rows, n] = x[rows, k] * w[n, k]^T, or another `form` of it. The types are
// numbers of DType as generated code gives them, unchecked.
struct MatmulCall {
  int64_t rows, n, k, form;
  int64_t inType, outType;
  const void *x, *w;
  void *y;
  const void *c = nullptr; // what is added, where `form` says so; null: y
};

// `geometry` as in ABI.def: sizes, strides in bytes, box sizes.
struct TensorMapCall {
  void *map;
  void *data;
  int64_t type, rank;
  const int64_t *geometry;
};

// Entries return nothing that tells of a failure: the first one is kept, and
// what runs the step reports it.
class Executor {
public:
  virtual void launch(void *kernel, int64_t tasks, void *const *args) = 0;
  virtual void *arena() = 0;
  virtual void *parameter(int64_t index) = 0;
  virtual void *state(int64_t layer) = 0;
  virtual void *gradient(int64_t index) = 0;
  virtual void probe(int64_t index, const void *data, int64_t rows,
                     int64_t columns) = 0;
  virtual void *constants() = 0;
  virtual void launchDevice(int64_t kernel, int64_t tasks,
                            void *const *args) = 0;
  virtual void matmul(const MatmulCall &call) = 0;
  virtual void tensorMap(const TensorMapCall &call) = 0;

protected:
  ~Executor() = default;
};

} // namespace tnrt

#endif // TNRT_CORE_EXECUTOR_H
