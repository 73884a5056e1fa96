// A file descriptor that closes itself.
#ifndef TNRT_FORMATS_FILEDESCRIPTOR_H
#define TNRT_FORMATS_FILEDESCRIPTOR_H

#include <unistd.h>

namespace tnrt {

class FileDescriptor {
public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd(fd) {}
  FileDescriptor(const FileDescriptor &) = delete;
  FileDescriptor &operator=(const FileDescriptor &) = delete;
  ~FileDescriptor() { reset(-1); }

  int get() const { return fd; }
  void reset(int other) {
    if (fd >= 0)
      ::close(fd);
    fd = other;
  }

private:
  int fd = -1;
};

} // namespace tnrt

#endif // TNRT_FORMATS_FILEDESCRIPTOR_H
