// Error lines, and stderr and stdout at the ends of LLVM's reach.
#include "Console.h"

#include "TN/TNNames.h"
#include "tnllm/Spec/Printable.h"

#include "mlir/IR/Diagnostics.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;

namespace tnllmc {
namespace {

// stderr while it is captured, else -1.
int realStderr = -1;

void restoreStderr() {
  if (realStderr < 0)
    return;
  ::dup2(realStderr, STDERR_FILENO);
  ::close(realStderr);
  realStderr = -1;
}

// Runs before the destructor of outs(), which aborts on an unseen error. --help
// ends the program while stderr is captured.
void finishStandardOutput() {
  restoreStderr();
  outs().flush();
  std::error_code code = outs().error();
  if (!code)
    return;
  outs().clear_error();
  ::_exit(report(
      createStringError("standard output: cannot write: " + code.message()),
      badInput));
}

std::string readAll(int file) {
  std::string text;
  ::lseek(file, 0, SEEK_SET);
  char buffer[4096];
  for (ssize_t got; (got = ::read(file, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  return text;
}

} // namespace

int report(Error error, int status) {
  std::string message = toString(std::move(error));
  SmallVector<StringRef> lines;
  StringRef(message).split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines) {
    if (!line.starts_with(" ") && !line.contains(": error: "))
      errs() << "tnllmc: error: ";
    errs() << line << '\n';
  }
  return status;
}

std::string diagnosticText(const mlir::Diagnostic &diagnostic) {
  mlir::Location location = diagnostic.getLocation();
  std::string text = "tnllmc";
  raw_string_ostream out(text);
  if (auto place = location->findInstanceOf<mlir::FileLineColLoc>()) {
    text = tnllm::printable(place.getFilename().getValue());
    out << ':' << place.getLine() << ':' << place.getColumn();
  }
  switch (diagnostic.getSeverity()) {
  case mlir::DiagnosticSeverity::Error:
    out << ": error: ";
    break;
  case mlir::DiagnosticSeverity::Warning:
    out << ": warning: ";
    break;
  case mlir::DiagnosticSeverity::Note:
  case mlir::DiagnosticSeverity::Remark:
    out << ": note: ";
    break;
  }
  if (std::string name = tnllm::tn::getTensorName(location); !name.empty())
    out << tnllm::printable(name) << ": ";
  out << diagnostic;
  return text;
}

void watchStandardOutput() {
  outs(); // made first, so destroyed last
  std::atexit(finishStandardOutput);
}

std::string captureStderr(function_ref<void()> action) {
  int file = ::memfd_create("tnllmc-stderr", MFD_CLOEXEC);
  if (file >= 0)
    realStderr = ::dup(STDERR_FILENO);
  if (realStderr >= 0)
    ::dup2(file, STDERR_FILENO);
  action();
  restoreStderr();
  std::string text = file >= 0 ? readAll(file) : "";
  ::close(file);
  return text;
}

} // namespace tnllmc
