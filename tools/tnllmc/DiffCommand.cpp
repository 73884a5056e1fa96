// The command line and the output of tnllmc diff.
#include "DiffCommand.h"

#include "Console.h"
#include "TraceRun.h"

#include "tnllm/Reference/TensorDiff.h"
#include "tnllm/Spec/Printable.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace llvm;
using tnllm::printable;
using tnllm::reference::indexText;
using tnllm::reference::TensorDifference;
using tnllm::reference::TraceDifference;

namespace tnllmc {
namespace {

const char help[] = R"(Compares the tensors of two traces, in the order of A.

USAGE: tnllmc diff A B [options]

A and B are safetensors files, checkpoints, or directories that
tnllmc --trace-tensors wrote. Tensors of one name are compared.

  --tolerance=T  largest |a - b| relative to the tensor's largest |a| that is no
                 difference (2e-4, what compiled f32 programs are tested to)
  --summary      only the first difference, no table
  --json         all of it as one JSON object
  --strict       a tensor that only one side has is a difference, too

Exit status: 0 nothing differs, 1 something does or cannot be compared, because
a tensor is NaN on both sides in all of its elements, 2 bad input.

Example:
  tnllmc examples/tiny --trace-tensors=good
  tnllmc diff good bad
      shows which tensor of which layer is the first to differ, and where
)";

struct DiffOptions {
  std::vector<std::string> paths;
  double tolerance = 2e-4;
  bool json = false, summary = false, strict = false, help = false;
};

Expected<DiffOptions> parse(ArrayRef<const char *> arguments) {
  DiffOptions options;
  for (StringRef argument : arguments) {
    StringRef text = argument;
    if (text == "--help" || text == "-h")
      options.help = true;
    else if (text == "--json")
      options.json = true;
    else if (text == "--summary")
      options.summary = true;
    else if (text == "--strict")
      options.strict = true;
    else if (text.consume_front("--tolerance=")) {
      if (text.getAsDouble(options.tolerance) || !(options.tolerance >= 0) ||
          !std::isfinite(options.tolerance))
        return createStringError("--tolerance: '" + printable(text) +
                                 "' is no tolerance, expected a number from 0");
    } else if (text.starts_with("-"))
      return createStringError("diff: unknown option '" + printable(text) +
                               "'; tnllmc diff --help lists the options");
    else
      options.paths.push_back(text.str());
  }
  if (!options.help && options.paths.size() != 2)
    return createStringError("diff: expected two traces, found " +
                             Twine(options.paths.size()) +
                             "; tnllmc diff --help shows an example");
  return options;
}

Expected<tnrt::Checkpoint> open(const std::string &path) {
  SmallString<128> trace(path);
  sys::path::append(trace, traceFileName);
  const bool isTrace = sys::fs::exists(trace);
  auto file = tnrt::Checkpoint::open(isTrace ? std::string(trace) : path);
  if (!file && !isTrace && sys::fs::is_directory(path))
    return createStringError(
        printable(path) + ": holds no " + traceFileName +
        ", and is no checkpoint: " + printable(file.message()));
  if (!file)
    return createStringError(printable(file.message()));
  return std::move(*file);
}

std::string number(double value) {
  std::string text;
  raw_string_ostream(text) << format("%.3g", value);
  return text;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  return "[" +
         join(map_range(shape, [](int64_t s) { return std::to_string(s); }),
              ", ") +
         "]";
}

// "3 of 8": how many of its elements are NaN on both sides.
std::string nanText(const TensorDifference &tensor) {
  int64_t size = 1;
  for (int64_t extent : tensor.shapeA)
    size *= extent;
  return std::to_string(tensor.numNaN) + " of " + std::to_string(size);
}

// One row for each tensor, the columns aligned.
void printTable(const TraceDifference &difference) {
  size_t nameWidth = 6, shapeWidth = 5;
  for (const TensorDifference &tensor : difference.tensors) {
    nameWidth = std::max(nameWidth, tensor.name.size());
    shapeWidth = std::max(shapeWidth, shapeText(tensor.shapeA).size());
  }
  auto row = [&](StringRef name, StringRef shape, StringRef abs, StringRef rel,
                 StringRef at) {
    std::string line;
    raw_string_ostream(line)
        << left_justify(name, nameWidth) << "  "
        << left_justify(shape, shapeWidth) << "  " << left_justify(abs, 9)
        << "  " << left_justify(rel, 9) << "  " << at;
    outs() << StringRef(line).rtrim() << '\n';
  };
  row("tensor", "shape", "max abs", "max rel", "at");
  for (const TensorDifference &tensor : difference.tensors) {
    std::string at =
        tensor.largest < 0 ? "" : indexText(tensor.largest, tensor.shapeA);
    if (!tensor.sameSize)
      at = "is " + shapeText(tensor.shapeB) + " in B";
    if (tensor.differs)
      at += "  DIFFERS";
    if (tensor.numNaN > 0)
      at += (at.empty() ? "" : "  ") + ("NaN in both: " + nanText(tensor));
    bool hasDistance = tensor.sameSize && !tensor.isIncomparable;
    row(tensor.name, shapeText(tensor.shapeA),
        hasDistance ? number(tensor.maxAbs) : "",
        hasDistance ? number(tensor.maxRel) : "", at);
  }
}

// Two programs that fail alike would otherwise look like two that agree.
void printNaN(const TraceDifference &difference) {
  const TensorDifference *first = difference.firstWithNaN();
  if (!first)
    return;
  auto count = [&](auto predicate) {
    return count_if(difference.tensors, predicate);
  };
  outs() << "not compared: "
         << count([](const TensorDifference &t) { return t.numNaN > 0; })
         << " of " << difference.tensors.size()
         << " tensors are NaN on both sides in some element, "
         << count([](const TensorDifference &t) { return t.isIncomparable; })
         << " in all; the first is " << first->name << ", at "
         << indexText(first->firstNaN, first->shapeA) << " and in "
         << nanText(*first) << '\n';
}

void printMissing(const char *side, ArrayRef<std::string> names) {
  if (names.empty())
    return;
  outs() << "only in " << side << ": " << names.size() << " ("
         << join(names.take_front(5), ", ")
         << (names.size() > 5 ? ", ...)" : ")") << '\n';
}

void printVerdict(const TraceDifference &difference, double tolerance) {
  const TensorDifference *first = difference.first();
  if (!first) {
    bool knowsAll = !difference.firstIncomparable();
    outs() << (knowsAll ? "no difference in " : "no verdict on ")
           << difference.tensors.size() << " tensors (tolerance "
           << number(tolerance) << ")\n";
    return;
  }
  outs() << "first difference: " << first->name;
  if (!first->sameSize) {
    outs() << ", " << shapeText(first->shapeA) << " in A and "
           << shapeText(first->shapeB) << " in B\n";
    return;
  }
  outs() << ", max abs " << number(first->maxAbs) << ", max rel "
         << number(first->maxRel) << " (tolerance " << number(tolerance)
         << "), first at " << indexText(first->first, first->shapeA)
         << ", largest at " << indexText(first->largest, first->shapeA) << ": "
         << format("%.9g", first->a) << " in A, " << format("%.9g", first->b)
         << " in B\n";
}

// JSON has no infinity and no NaN: null.
json::Value finite(double value) {
  return std::isfinite(value) ? json::Value(value) : json::Value(nullptr);
}

json::Value asJSON(const TensorDifference &tensor) {
  json::Object object{{"name", tensor.name},
                      {"shape_a", json::Array(tensor.shapeA)},
                      {"shape_b", json::Array(tensor.shapeB)},
                      {"differs", tensor.differs}};
  if (!tensor.sameSize)
    return object;
  object["max_abs"] = finite(tensor.maxAbs);
  object["max_rel"] = finite(tensor.maxRel);
  if (tensor.numNaN > 0)
    object["nan_in_both"] = tensor.numNaN;
  if (tensor.largest < 0)
    return object;
  object["largest"] = tensor.largest;
  object["a"] = finite(tensor.a);
  object["b"] = finite(tensor.b);
  if (tensor.first >= 0)
    object["first"] = tensor.first;
  return object;
}

json::Value nameOf(const TensorDifference *tensor) {
  return tensor ? json::Value(tensor->name) : json::Value(nullptr);
}

void printJSON(const TraceDifference &difference, double tolerance) {
  json::Array tensors;
  for (const TensorDifference &tensor : difference.tensors)
    tensors.push_back(asJSON(tensor));
  json::Object root{
      {"tolerance", tolerance},
      {"first", nameOf(difference.first())},
      {"incomparable", nameOf(difference.firstIncomparable())},
      {"only_in_a", json::Array(difference.onlyInA)},
      {"only_in_b", json::Array(difference.onlyInB)},
      {"tensors", std::move(tensors)}};
  outs() << formatv("{0:2}", json::Value(std::move(root))) << '\n';
}

Expected<int> run(const DiffOptions &options) {
  auto a = open(options.paths[0]);
  if (!a)
    return a.takeError();
  auto b = open(options.paths[1]);
  if (!b)
    return b.takeError();
  auto difference = tnllm::reference::diffTensors(*a, *b, options.tolerance);
  if (!difference)
    return createStringError(printable(difference.message()));
  if (difference->tensors.empty())
    return createStringError(
        "diff: no tensor of one has the name of one of the "
        "other, expected traces of the same program");
  if (options.json) {
    printJSON(*difference, options.tolerance);
  } else {
    if (!options.summary)
      printTable(*difference);
    printMissing("A", difference->onlyInA);
    printMissing("B", difference->onlyInB);
    printNaN(*difference);
    printVerdict(*difference, options.tolerance);
  }
  bool oneSided = !difference->onlyInA.empty() || !difference->onlyInB.empty();
  return difference->first() || difference->firstIncomparable() ||
                 (options.strict && oneSided)
             ? 1
             : 0;
}

} // namespace

bool isDiffCommand(int argc, char **argv) {
  return argc > 1 && StringRef(argv[1]) == "diff";
}

int runDiffCommand(int argc, char **argv) {
  auto options = parse(ArrayRef<const char *>(argv + 2, argv + argc));
  if (!options)
    return report(options.takeError(), badInput);
  if (options->help) {
    outs() << help;
    return 0;
  }
  auto status = run(*options);
  return status ? *status : report(status.takeError(), badInput);
}

} // namespace tnllmc
