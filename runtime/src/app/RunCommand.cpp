// run: one forward pass over token ids, tensors in and tensors out.
#include "Commands.h"
#include "Interrupt.h"
#include "OutputGuard.h"
#include "TensorCheck.h"

#include "core/PackedSteps.h"
#include "core/Progress.h"
#include "tnrt/formats/Safetensors.h"

#include <algorithm>
#include <memory>
#include <unordered_map>

namespace tnrt {
namespace {

std::string stateName(size_t layer) { return "state." + std::to_string(layer); }

std::string tensorText(const TensorView &view) {
  return std::string(dtypeName(view.dtype)) + " " + shapeText(view.shape);
}

// What an input file says, checked against the model.
struct RunInput {
  int64_t batch = 0, length = 0;
  std::vector<int32_t> tokens;    // [batch, length]
  std::vector<int64_t> positions; // [batch]
  bool hasState = false;
  // Of packed sequences, each one's tokens; what is [batch, length] elsewhere
  // is [length] then, one sequence after the other.
  std::vector<int64_t> lengths;

  bool isPacked() const { return !lengths.empty(); }
  // Dimensions of an output before those of a token.
  std::vector<int64_t> tokenShape() const {
    return isPacked() ? std::vector<int64_t>{length}
                      : std::vector<int64_t>{batch, length};
  }
};

class InputReader {
public:
  InputReader(const SafetensorsFile &file, const Manifest &manifest)
      : file(file), manifest(manifest) {}

  Result<RunInput> read() {
    for (Status (InputReader::*step)() :
         {&InputReader::checkNames, &InputReader::readTokens,
          &InputReader::readOffsets, &InputReader::checkStates,
          &InputReader::readPosition})
      if (Status status = (this->*step)(); !status)
        return Error{file.path() + ": " + status.message()};
    return std::move(input);
  }

private:
  Status checkNames() {
    std::string unknown;
    for (const TensorView &view : file.tensors()) {
      bool known = view.name == "input_ids" || view.name == "position" ||
                   view.name == "offsets";
      for (size_t layer = 0; !known && layer < manifest.states.size(); ++layer)
        known = view.name == stateName(layer);
      if (!known)
        unknown += (unknown.empty() ? "" : ", ") + view.name;
    }
    if (unknown.empty())
      return {};
    std::string states;
    if (!manifest.states.empty())
      states = ", state.0 to " + stateName(manifest.states.size() - 1);
    return Error{"unknown tensors: " + unknown + " (expected input_ids" +
                 states + ", position and offsets)"};
  }

  Status readTokens() {
    const TensorView *view = file.find("input_ids");
    if (!view)
      return Error{"has no tensor input_ids, I64 or I32 [B, N]"};
    const bool isPacked = file.find("offsets") != nullptr;
    const size_t rank = isPacked ? 1 : 2;
    bool isInteger = view->dtype == DType::I64 || view->dtype == DType::I32;
    if (!isInteger || view->shape.size() != rank)
      return Error{"input_ids is " + tensorText(*view) +
                   ", expected I64 or I32 " +
                   (isPacked ? "[T] beside offsets" : "[B, N]")};
    for (int64_t size : view->shape)
      if (size < 1)
        return Error{"input_ids has the shape " + shapeText(view->shape) +
                     ", expected at least one sequence of at least one token"};
    input.batch = isPacked ? 1 : view->shape[0];
    input.length = view->shape.back();
    auto count = static_cast<size_t>(input.batch * input.length);
    input.tokens.resize(count);
    for (size_t i = 0; i < count; ++i) {
      int64_t id = readInteger(*view, i);
      if (id < 0 || id >= manifest.vocabSize)
        return Error{"input_ids[" +
                     (isPacked ? std::to_string(i)
                               : std::to_string(i / input.length) + ", " +
                                     std::to_string(i % input.length)) +
                     "] is " + std::to_string(id) +
                     ", expected a token id in [0, " +
                     std::to_string(manifest.vocabSize) + ")"};
      input.tokens[i] = static_cast<int32_t>(id);
    }
    return {};
  }

  // The first token of each sequence, and the end of the last one.
  Status readOffsets() {
    const TensorView *view = file.find("offsets");
    if (!view)
      return {};
    bool isInteger = view->dtype == DType::I64 || view->dtype == DType::I32;
    if (!isInteger || view->shape.size() != 1 || view->shape[0] < 2)
      return Error{"offsets is " + tensorText(*view) +
                   ", expected I64 or I32 [B + 1] with at least one sequence"};
    const int64_t total = input.length;
    input.batch = view->shape[0] - 1;
    int64_t before = 0;
    for (int64_t i = 0; i <= input.batch; ++i) {
      const int64_t offset = readInteger(*view, static_cast<size_t>(i));
      const bool isRight = i == 0 ? offset == 0
                           : i == input.batch
                               ? offset > before && offset == total
                               : offset > before && offset < total;
      if (!isRight)
        return Error{"offsets[" + std::to_string(i) + "] is " +
                     std::to_string(offset) +
                     ", expected 0 first, then more each time, and last " +
                     std::to_string(total) + ", the number of tokens"};
      if (i > 0)
        input.lengths.push_back(offset - before);
      before = offset;
    }
    return {};
  }

  Status checkStates() {
    std::string missing;
    size_t found = 0;
    for (size_t layer = 0; layer < manifest.states.size(); ++layer) {
      const TensorView *view = file.find(stateName(layer));
      if (!view) {
        missing += (missing.empty() ? "" : ", ") + stateName(layer);
        continue;
      }
      ++found;
      const Manifest::State &state = manifest.states[layer];
      std::vector<int64_t> expected = {input.batch, state.heads, state.keyWidth,
                                       state.valueWidth};
      if (view->dtype != DType::F32 || view->shape != expected)
        return Error{stateName(layer) + " is " + tensorText(*view) +
                     ", expected F32 " + shapeText(expected)};
      if (Status status = requireFinite(*view); !status)
        return status;
    }
    input.hasState = found > 0;
    if (found > 0 && !missing.empty())
      return Error{"has some states but lacks " + missing +
                   ": expected all or none"};
    return {};
  }

  Status readPosition() {
    const TensorView *view = file.find("position");
    input.positions.assign(static_cast<size_t>(input.batch), 0);
    if (!view && input.hasState)
      return Error{
          "has states but no position, I64 []: expected both or neither"};
    if (!view)
      return {};
    if (!input.hasState)
      return Error{"has position but no states: expected both or neither"};
    const auto &shape = view->shape;
    bool isScalar = shape.empty() || (shape.size() == 1 && shape[0] == 1);
    bool isPerRow = shape.size() == 1 && shape[0] == input.batch;
    if (view->dtype != DType::I64 || (!isScalar && !isPerRow))
      return Error{"position is " + tensorText(*view) +
                   ", expected I64 [] or I64 [" + std::to_string(input.batch) +
                   "]"};
    for (size_t row = 0; row < input.positions.size(); ++row) {
      int64_t position = readInteger(*view, isPerRow ? row : 0);
      if (position < 0 || position > kMaxPosition)
        return Error{(isPerRow ? "position[" + std::to_string(row) + "] is "
                               : std::string("position is ")) +
                     std::to_string(position) +
                     ", expected a value in [0, 2^40]"};
      input.positions[row] = position;
    }
    return {};
  }

  const SafetensorsFile &file;
  const Manifest &manifest;
  RunInput input;
};

// The output file: its tensors' order and the places of the pieces.
class OutputWriter {
public:
  static Result<OutputWriter> create(const RunOptions &options,
                                     const Manifest &m, const RunInput &input) {
    OutputWriter writer(m, input);
    auto wants = [&](const char *kind) {
      return options.only.empty() ||
             std::find(options.only.begin(), options.only.end(), kind) !=
                 options.only.end();
    };
    auto add = [&](std::string name, DType dtype, std::vector<int64_t> shape) {
      writer.specs.push_back({std::move(name), dtype, std::move(shape)});
      return static_cast<int64_t>(writer.specs.size()) - 1;
    };
    // In the order of the program, which `tnllmc diff` goes by.
    if (wants("hidden"))
      for (size_t probe = 0; probe < m.probes.size(); ++probe) {
        std::vector<int64_t> shape = input.tokenShape();
        shape.insert(shape.end(), m.probeShapes[probe].begin(),
                     m.probeShapes[probe].end());
        writer.probeIndices.push_back(
            add(m.probes[probe], DType::F32, std::move(shape)));
      }
    if (wants("logits")) {
      std::vector<int64_t> shape = input.tokenShape();
      shape.push_back(m.vocabSize);
      writer.logitsIndex = add("logits", DType::F32, std::move(shape));
    }
    if (wants("state")) {
      for (size_t layer = 0; layer < m.states.size(); ++layer)
        writer.stateIndices.push_back(
            add(stateName(layer), DType::F32,
                {input.batch, m.states[layer].heads, m.states[layer].keyWidth,
                 m.states[layer].valueWidth}));
      bool same =
          !input.isPacked() &&
          std::all_of(input.positions.begin(), input.positions.end(),
                      [&](int64_t p) { return p == input.positions[0]; });
      std::vector<int64_t> shape;
      if (!same)
        shape.push_back(input.batch);
      writer.positionIndex = add("position", DType::I64, shape);
    }
    auto file = SafetensorsWriter::create(options.output, writer.specs);
    if (!file)
      return file.takeError();
    writer.file = std::make_unique<SafetensorsWriter>(std::move(*file));
    return writer;
  }

  bool wantsLogits() const { return logitsIndex >= 0; }
  bool wantsHidden() const { return !probeIndices.empty(); }

  // f32 [rows, V] of sequence `row` from token `token` on.
  void logits(int64_t row, int64_t token, int64_t rows, const float *data) {
    place(logitsIndex, row * input.length + token, rows, manifest.vocabSize,
          data);
  }

  // f32 [batch, length, columns] of the sequences from `row` on.
  void hidden(int64_t probe, int64_t row, int64_t token, int64_t batch,
              int64_t length, int64_t columns, const float *data) {
    if (probe < 0 || probe >= static_cast<int64_t>(probeIndices.size()))
      return;
    for (int64_t b = 0; b < batch; ++b)
      place(probeIndices[static_cast<size_t>(probe)],
            (row + b) * input.length + token, length, columns,
            data + b * length * columns);
  }

  void states(Session &session) {
    std::vector<float> state;
    for (size_t layer = 0; layer < stateIndices.size(); ++layer) {
      auto index = static_cast<int64_t>(layer);
      const int64_t elements = session.stateElements(index);
      state.resize(static_cast<size_t>(input.batch * elements));
      note(session.readStates(index, state.data()));
      place(stateIndices[layer], 0, input.batch, elements, state.data());
    }
    if (positionIndex < 0)
      return;
    size_t count = specs[static_cast<size_t>(positionIndex)].shape.empty()
                       ? 1
                       : session.positions().size();
    note(file->writeAt(static_cast<size_t>(positionIndex), 0,
                       session.positions().data(), count * sizeof(int64_t)));
  }

  const Status &status() const { return failure; }
  Status commit() { return file->commit(); }

private:
  OutputWriter(const Manifest &manifest, const RunInput &input)
      : manifest(manifest), input(input) {}

  void place(int64_t tensor, int64_t rowIndex, int64_t rows, int64_t columns,
             const float *data) {
    auto rowBytes = static_cast<size_t>(columns) * sizeof(float);
    note(file->writeAt(static_cast<size_t>(tensor),
                       static_cast<size_t>(rowIndex) * rowBytes, data,
                       static_cast<size_t>(rows) * rowBytes));
  }

  // The first failure counts: what comes after it follows from it.
  void note(Status status) {
    if (failure && !status)
      failure = std::move(status);
  }

  const Manifest &manifest;
  const RunInput &input;
  std::vector<TensorSpec> specs;
  std::unique_ptr<SafetensorsWriter> file;
  int64_t logitsIndex = -1, positionIndex = -1;
  std::vector<int64_t> probeIndices, stateIndices;
  Status failure;
};

Status restoreStates(const SafetensorsFile &file, Session &session,
                     size_t layers) {
  for (size_t layer = 0; layer < layers; ++layer) {
    const TensorView *view = file.find(stateName(layer));
    if (Status status =
            session.writeStates(static_cast<int64_t>(layer), view->data);
        !status)
      return status;
  }
  return {};
}

// Logits of hidden f32 [batch, length, D], whose first token is `offset`.
Status writeLogits(OutputWriter &writer, Session &session, const Manifest &m,
                   const float *hidden, int64_t offset, int64_t length,
                   std::vector<float> &scratch) {
  auto headRows = std::max<int64_t>(m.capacity.headRows, 1);
  scratch.resize(static_cast<size_t>(headRows * m.vocabSize));
  for (int64_t b = 0; b < session.batch(); ++b)
    for (int64_t t = 0; t < length; t += headRows) {
      int64_t rows = std::min(headRows, length - t);
      if (Status status = session.logits(hidden + (b * length + t) * m.width,
                                         rows, scratch.data());
          !status)
        return status;
      writer.logits(b, offset + t, rows, scratch.data());
    }
  return {};
}

// The same for packed sequences, in the order of the file.
Result<int> computePacked(const Environment &environment, const RunInput &input,
                          Session &session, OutputWriter &writer) {
  const Manifest &m = environment.manifest;
  const int64_t slab = std::max<int64_t>(m.capacity.prefillRows, 1);
  const auto headRows = std::max<int64_t>(m.capacity.headRows, 1);
  std::vector<float> hidden(
      static_cast<size_t>(std::min(slab, input.length) * m.width)),
      scratch(static_cast<size_t>(headRows * m.vocabSize));
  Progress progress("running", input.length, Progress::Unit::Items,
                    !environment.options.quiet);
  PackedSteps steps(input.lengths, slab);
  while (steps.next()) {
    if (interrupted())
      return interruptCode();
    Observer observer;
    if (writer.wantsHidden())
      observer = [&](int64_t probe, const float *data, int64_t, int64_t offset,
                     int64_t, int64_t count, int64_t columns) {
        writer.hidden(probe, 0, steps.begin() + offset, 1, count, columns,
                      data);
      };
    if (Status status = session.forwardPacked(
            input.tokens.data() + steps.begin(), steps.counts().data(),
            hidden.data(), observer);
        !status)
      return status.takeError();
    for (int64_t t = 0; writer.wantsLogits() && t < steps.count();
         t += headRows) {
      const int64_t rows = std::min(headRows, steps.count() - t);
      if (Status status =
              session.logits(hidden.data() + t * m.width, rows, scratch.data());
          !status)
        return status.takeError();
      writer.logits(0, steps.begin() + t, rows, scratch.data());
    }
    if (!writer.status())
      return Error{writer.status().message()};
    progress.advance(steps.count());
  }
  return int(kOk);
}

// Feeds the tokens in slabs, so that only files grow with the length.
Result<int> compute(const Environment &environment, const RunInput &input,
                    Session &session, OutputWriter &writer) {
  const Manifest &m = environment.manifest;
  int64_t slab =
      std::min(std::max<int64_t>(m.capacity.prefillRows, 1), input.length);
  std::vector<float> hidden(static_cast<size_t>(input.batch * slab * m.width)),
      scratch;
  std::vector<int32_t> tokens(static_cast<size_t>(input.batch * slab));
  Progress progress("running", input.length, Progress::Unit::Items,
                    !environment.options.quiet);
  for (int64_t begin = 0; begin < input.length; begin += slab) {
    if (interrupted())
      return interruptCode();
    int64_t length = std::min(slab, input.length - begin);
    for (int64_t b = 0; b < input.batch; ++b)
      std::copy_n(input.tokens.data() + b * input.length + begin, length,
                  tokens.data() + b * length);
    Observer observer;
    if (writer.wantsHidden())
      observer = [&](int64_t probe, const float *data, int64_t row,
                     int64_t offset, int64_t batch, int64_t count,
                     int64_t columns) {
        writer.hidden(probe, row, begin + offset, batch, count, columns, data);
      };
    if (Status status =
            session.forward(tokens.data(), length, hidden.data(), observer);
        !status)
      return status.takeError();
    if (writer.wantsLogits())
      if (Status status = writeLogits(writer, session, m, hidden.data(), begin,
                                      length, scratch);
          !status)
        return status.takeError();
    if (!writer.status())
      return Error{writer.status().message()};
    progress.advance(length);
  }
  return int(kOk);
}

} // namespace

Result<int> runCommand(Environment &environment, const RunOptions &options) {
  auto file = SafetensorsFile::open(options.input);
  if (!file)
    return file.takeError();
  const Manifest &m = environment.manifest;
  auto input = InputReader(*file, m).read();
  if (!input)
    return input.takeError();
  Status isFree = checkOutput(environment, "--output", options.output,
                              {{options.input, "the input"}});
  if (!isFree)
    return isFree.takeError();
  InterruptScope interrupts; // from here on there is a file to take away
  auto writer = OutputWriter::create(options, m, *input);
  if (!writer)
    return writer.takeError();
  auto model = environment.loadModel(input->batch);
  if (!model)
    return model.takeError();
  auto session = Session::create(**model, input->batch);
  if (!session)
    return session.takeError();
  if (input->hasState)
    if (Status status = restoreStates(*file, **session, m.states.size());
        !status)
      return status.takeError();
  (*session)->positions() = input->positions;

  auto code = (input->isPacked() ? computePacked : compute)(environment, *input,
                                                            **session, *writer);
  if (!code || *code != kOk)
    return code;
  writer->states(**session);
  if (!writer->status())
    return Error{writer->status().message()};
  if (Status status = writer->commit(); !status)
    return status.takeError();
  return int(kOk);
}

} // namespace tnrt
