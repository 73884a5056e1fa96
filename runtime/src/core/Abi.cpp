// The functions that generated code calls.
#include "Executor.h"

#include "tnrt/abi.h"

using tnrt::Executor;

namespace {

Executor &executor(void *context) { return *static_cast<Executor *>(context); }

} // namespace

extern "C" {

void tnrt_launch(void *context, void *kernel, int64_t tasks, void *args) {
  executor(context).launch(kernel, tasks, static_cast<void *const *>(args));
}

void *tnrt_arena(void *context) { return executor(context).arena(); }

void *tnrt_param(void *context, int64_t index) {
  return executor(context).parameter(index);
}

void *tnrt_state(void *context, int64_t layer) {
  return executor(context).state(layer);
}

void *tnrt_gradient(void *context, int64_t index) {
  return executor(context).gradient(index);
}

void tnrt_probe(void *context, int64_t probe, void *data, int64_t rows,
                int64_t columns) {
  executor(context).probe(probe, data, rows, columns);
}

void *tnrt_constants(void *context) { return executor(context).constants(); }

void tnrt_launch_device(void *context, int64_t kernel, int64_t tasks,
                        void *args) {
  executor(context).launchDevice(kernel, tasks,
                                 static_cast<void *const *>(args));
}

void tnrt_matmul(void *context, int64_t rows, int64_t n, int64_t k,
                 int64_t form, int64_t inType, int64_t outType, void *x,
                 void *w, void *y, void *c) {
  executor(context).matmul({rows, n, k, form, inType, outType, x, w, y, c});
}

void tnrt_tensor_map(void *context, void *map, void *data, int64_t type,
                     int64_t rank, void *geometry) {
  executor(context).tensorMap(
      {map, data, type, rank, static_cast<const int64_t *>(geometry)});
}

} // extern "C"
