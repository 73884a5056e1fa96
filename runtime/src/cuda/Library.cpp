// dlopen.
#include "Library.h"

#include <cstdlib>
#include <dlfcn.h>

namespace tnrt::cuda {

Result<Library> Library::open(const std::vector<std::string> &names) {
  Library library;
  std::string reason = "no name is given";
  for (const std::string &name : names) {
    library.handle =
        ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library.handle) {
      library.opened = name;
      return library;
    }
    if (const char *text = ::dlerror())
      reason = text;
  }
  return Error{reason};
}

void *Library::find(const char *symbol) const {
  return ::dlsym(handle, symbol);
}

namespace {

std::vector<std::string> cublasLtNames() {
  std::vector<std::string> folders = {""};
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *home = std::getenv(variable); home && *home)
      folders.push_back(std::string(home) + "/lib64/");
  folders.push_back("/usr/local/cuda/lib64/");
  std::vector<std::string> names;
  for (const char *version : {"13", "12"})
    for (const std::string &folder : folders)
      names.push_back(folder + "libcublasLt.so." + version);
  return names;
}

} // namespace

LibraryNames &libraryNames() {
  static LibraryNames names = {
      {"libcuda.so.1"}, cublasLtNames(), {"libnvidia-ml.so.1"}};
  return names;
}

} // namespace tnrt::cuda
