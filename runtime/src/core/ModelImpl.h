// What Model holds, for Session.
#ifndef TNRT_CORE_MODELIMPL_H
#define TNRT_CORE_MODELIMPL_H

#include "Backend.h"
#include "Session.h"

#include <memory>

namespace tnrt {

struct Model::Impl {
  Manifest manifest;
  std::unique_ptr<ModelBackend> backend; // refers to `manifest`
};

} // namespace tnrt

#endif // TNRT_CORE_MODELIMPL_H
