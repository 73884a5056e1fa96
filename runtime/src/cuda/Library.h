// Shared libraries opened while the program runs: no executable needs CUDA to
// start.
#ifndef TNRT_CUDA_LIBRARY_H
#define TNRT_CUDA_LIBRARY_H

#include "tnrt/Result.h"

#include <string>
#include <vector>

namespace tnrt::cuda {

// A library that stays loaded until the process ends: the driver does not
// survive being unloaded.
class Library {
public:
  // Opens the first of `names` that the loader finds. The error says why the
  // last one could not be.
  static Result<Library> open(const std::vector<std::string> &names);

  // Null where the library has no such symbol.
  void *find(const char *symbol) const;
  const std::string &name() const { return opened; }

private:
  void *handle = nullptr;
  std::string opened;
};

// Where the libraries come from. Tests put a fake in their place; nothing else
// changes it.
struct LibraryNames {
  std::vector<std::string> driver;   // libcuda.so.1
  std::vector<std::string> cublasLt; // libcublasLt.so.13, .12, in the loader's
                                     // path and in CUDA's usual folders
  std::vector<std::string> nvml;     // libnvidia-ml.so.1
};
LibraryNames &libraryNames();

} // namespace tnrt::cuda

#endif // TNRT_CUDA_LIBRARY_H
