// What Model holds, for Session.
#ifndef TNRT_CORE_MODELIMPL_H
#define TNRT_CORE_MODELIMPL_H

#include "Memory.h"
#include "Session.h"
#include "ThreadPool.h"
#include "WeightLoader.h"
#include "tnrt/abi.h"

#include <memory>

namespace tnrt {

struct Model::Impl {
  const tnrt_module *module = nullptr;
  Manifest manifest;
  std::unique_ptr<ThreadPool> pool;
  LoadedWeights weights;
  Memory arena;
};

} // namespace tnrt

#endif // TNRT_CORE_MODELIMPL_H
