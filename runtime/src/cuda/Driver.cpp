// Loading the driver.
#include "Driver.h"

namespace tnrt::cuda {

namespace {

std::string withoutVersion(const std::string &call) {
  const size_t at = call.rfind("_v");
  return at == std::string::npos ? call : call.substr(0, at);
}

} // namespace

Result<std::shared_ptr<const Driver>> Driver::load() {
  Result<Library> library = Library::open(libraryNames().driver);
  if (!library)
    return Error{"this program runs on an NVIDIA GPU, and NVIDIA's driver "
                 "cannot be loaded (" +
                 library.message() + ")"};
  auto driver = std::make_shared<Driver>();
  std::string missing;
#define TNRT_CUDA(symbol, parameters)                                          \
  driver->symbol =                                                             \
      reinterpret_cast<CUresult(*) parameters>(library->find(#symbol));        \
  if (!driver->symbol)                                                         \
    missing += (missing.empty() ? "" : ", ") + std::string(#symbol);
#include "Driver.def"
  if (!missing.empty())
    return Error{"NVIDIA's driver (" + library->name() +
                 ") is too old: it lacks " + missing +
                 ", expected CUDA 12.0 "
                 "or newer"};
  const CUresult code = driver->cuInit(0);
  if (code == kErrorNoDevice)
    return Error{"NVIDIA's driver finds no GPU, and this program runs on one"};
  if (Status status = driver->check("cuInit", code); !status)
    return status.takeError();
  return std::shared_ptr<const Driver>(std::move(driver));
}

Status Driver::check(const char *call, CUresult code) const {
  if (code == kSuccess)
    return {};
  std::string text = withoutVersion(call) + ": ";
  const char *name = nullptr, *description = nullptr;
  if (cuGetErrorName(code, &name) == kSuccess && name)
    text += name;
  else
    text += "error " + std::to_string(code);
  if (cuGetErrorString(code, &description) == kSuccess && description)
    text += " (" + std::string(description) + ")";
  return Error{text};
}

} // namespace tnrt::cuda
