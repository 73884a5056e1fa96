// grad: the loss of some sequences and its gradients, tensors in and tensors
// out: for comparing with other programs.
#include "Commands.h"
#include "Interrupt.h"
#include "OutputGuard.h"
#include "TensorCheck.h"

#include "tnrt/formats/Safetensors.h"
#include "train/TrainBackend.h"

#include <algorithm>
#include <memory>

namespace tnrt {
namespace {

constexpr char kIdsName[] = "train_ids";

std::string tensorText(const TensorView &view) {
  return std::string(dtypeName(view.dtype)) + " " + shapeText(view.shape);
}

// Sequences, and of each token the one that follows.
struct Sequences {
  int64_t batch = 0, length = 0;
  std::vector<int32_t> inputs, targets; // [batch, length]
};

// All ids of a sequence but the last, and all but the first.
Result<Sequences> readSequences(const SafetensorsFile &file,
                                int64_t vocabulary) {
  auto fail = [&](const std::string &what) {
    return Error{file.path() + ": " + what};
  };
  const TensorView *view = file.find(kIdsName);
  if (!view)
    return fail("has no tensor train_ids, I64 or I32 [B, N]");
  const bool isInteger = view->dtype == DType::I64 || view->dtype == DType::I32;
  if (!isInteger || view->shape.size() != 2 || view->shape[0] < 1 ||
      view->shape[1] < 2)
    return fail("train_ids is " + tensorText(*view) +
                ", expected I64 or I32 [B, N] with at least one sequence of at "
                "least two tokens");
  Sequences result;
  result.batch = view->shape[0];
  result.length = view->shape[1] - 1;
  for (int64_t row = 0; row < result.batch; ++row)
    for (int64_t at = 0; at <= result.length; ++at) {
      const int64_t id =
          readInteger(*view, static_cast<size_t>(row * view->shape[1] + at));
      if (id < 0 || id >= vocabulary)
        return fail("train_ids[" + std::to_string(row) + ", " +
                    std::to_string(at) + "] is " + std::to_string(id) +
                    ", expected a token id in [0, " +
                    std::to_string(vocabulary) + ")");
      if (at < result.length)
        result.inputs.push_back(static_cast<int32_t>(id));
      if (at > 0)
        result.targets.push_back(static_cast<int32_t>(id));
    }
  return result;
}

// Gradients of the mean over all labels, as many sequences at a time as one
// call takes.
Result<TrainLoss> accumulateAll(TrainBackend &backend,
                                const Sequences &sequences) {
  const int64_t most =
      std::max<int64_t>(1, backend.maxTokens() / sequences.length);
  const double scale =
      1.0 / static_cast<double>(sequences.batch * sequences.length);
  TrainLoss total;
  for (int64_t row = 0; row < sequences.batch; row += most) {
    const int64_t first = row * sequences.length;
    TrainBatch part{sequences.inputs.data() + first,
                    sequences.targets.data() + first,
                    std::min(most, sequences.batch - row), sequences.length};
    auto loss = backend.accumulate(part, scale);
    if (!loss)
      return loss;
    total.sum += loss->sum;
    total.tokens += loss->tokens;
  }
  return total;
}

Status writeGradients(SafetensorsWriter &writer, TrainBackend &backend,
                      const TrainLoss &loss) {
  const float mean = static_cast<float>(loss.mean());
  if (Status status = writer.write(&mean, sizeof mean); !status)
    return status;
  auto gradients = backend.view(TrainBuffer::Gradients);
  if (!gradients)
    return gradients.takeError();
  for (const TrainParameter &parameter : backend.parameters())
    if (Status status = writer.write(gradients->data + parameter.offset,
                                     static_cast<size_t>(parameter.elements) *
                                         sizeof(float));
        !status)
      return status;
  return writer.commit();
}

} // namespace

Result<int> gradCommand(Environment &environment, const GradOptions &options) {
  auto file = SafetensorsFile::open(options.input);
  if (!file)
    return file.takeError();
  auto sequences = readSequences(*file, environment.manifest.vocabSize);
  if (!sequences)
    return sequences.takeError();
  if (Status status = checkOutput(environment, "--output", options.output,
                                  {{options.input, "the input"}});
      !status)
    return status.takeError();
  InterruptScope interrupts; // from here on there is a file to take away
  std::vector<TensorSpec> specs = {{"train_loss", DType::F32, {1}}};
  for (const Manifest::Parameter &parameter : environment.manifest.parameters)
    specs.push_back({"grad." + parameter.tensor, DType::F32, parameter.shape});
  auto writer = SafetensorsWriter::create(options.output, specs);
  if (!writer)
    return writer.takeError();
  auto backend = environment.loadTrainBackend();
  if (!backend)
    return backend.takeError();
  auto loss = accumulateAll(**backend, *sequences);
  if (!loss)
    return loss.takeError();
  if (interrupted())
    return interruptCode();
  if (Status status = writeGradients(*writer, **backend, *loss); !status)
    return status.takeError();
  return int(kOk);
}

} // namespace tnrt
