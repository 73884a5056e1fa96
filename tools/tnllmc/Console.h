// What tnllmc says on the terminal when something is wrong: one line each,
// however the libraries below would put it.
#ifndef TNLLMC_CONSOLE_H
#define TNLLMC_CONSOLE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir {
class Diagnostic;
} // namespace mlir

namespace tnllmc {

constexpr int badInput = 2;
constexpr int compilerFault = 1;

// Prints the error and returns `status`. A line that names a place of its own
// ("FILE:1:2: error: ...") and the indented items of a list stand as they are;
// any other starts with "tnllmc: error: ".
int report(llvm::Error error, int status);

// "FILE:1:2: error: layers.0.token_norm: what is wrong": the place if the
// location has one, "tnllmc" else, and the tensor that it names. Notes are not
// part of it.
std::string diagnosticText(const mlir::Diagnostic &diagnostic);

// Makes what --help and --version cannot write an error like any other. Call
// first.
void watchStandardOutput();

// Runs `action` and returns what it wrote to stderr: LLVM's option parsers
// write there themselves.
std::string captureStderr(llvm::function_ref<void()> action);

} // namespace tnllmc

#endif // TNLLMC_CONSOLE_H
