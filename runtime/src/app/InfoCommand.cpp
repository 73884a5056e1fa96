// info: what was compiled in. Weights are not touched.
#include "Commands.h"
#include "Text.h"
#include "Versions.h"

#include "cuda/CudaBackend.h"
#include "tnrt/formats/Quantize.h"

#include <algorithm>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

int64_t parameterCount(const Manifest &manifest) {
  int64_t count = 0;
  for (const auto &parameter : manifest.parameters)
    // Scales are computed from a tensor that is counted already.
    if (!parameter.layout.isScales())
      count += elementCount(parameter.shape).value_or(0);
  return count;
}

// Bytes as the kernels read them: whole panels, padding included.
int64_t parameterBytes(const Manifest &manifest) {
  int64_t bytes = 0;
  for (const auto &parameter : manifest.parameters)
    bytes += packedBytes(parameter.shape, parameter.dtype, parameter.layout);
  return bytes;
}

int64_t stateBytes(const Manifest &manifest) {
  int64_t elements = 0;
  for (const auto &state : manifest.states)
    elements += state.elements();
  return elements * static_cast<int64_t>(sizeof(float));
}

// Parameters, gradients, two moments, and the values of a step.
int64_t trainingBytes(const Manifest &manifest) {
  return 4 * parameterBytes(manifest) + manifest.arenaBytes;
}

std::string weightsText(const Manifest &manifest) {
  switch (manifest.weights.kind) {
  case Manifest::Weights::Kind::Link:
    return "linked from " + manifest.weights.path;
  case Manifest::Weights::Kind::Embed:
    return "embedded in this executable";
  case Manifest::Weights::Kind::Random:
    return "random, seed " + std::to_string(manifest.weights.seed);
  }
  return {};
}

std::string tokenizerText(const Manifest &manifest) {
  if (manifest.tokenizer.kind == Manifest::Tokenizer::Kind::Bytes)
    return "bytes";
  return "sentencepiece, " + (manifest.tokenizer.path.empty()
                                  ? "embedded in this executable"
                                  : manifest.tokenizer.path);
}

std::string modelText(const Manifest &m) {
  const Json &model = m.raw["model"];
  std::string text = m.name + ": " + std::to_string(m.layers) +
                     " layers, width " + std::to_string(m.width);
  if (!m.states.empty())
    text += ", " + std::to_string(m.states.front().heads) + " heads";
  if (model.contains("glu_dim") && model["glu_dim"].is_number_integer())
    text += ", GLU " + std::to_string(model["glu_dim"].get<int64_t>());
  return text + ", vocabulary " + std::to_string(m.vocabSize);
}

// The GPU that the program would run on, or why it would not.
Result<std::string> findDevice(const Environment &environment) {
  return describeCudaDevice(environment.module, environment.manifest,
                            environment.options.device.value_or(0));
}

Json toJson(const Environment &environment) {
  const Manifest &m = environment.manifest;
  Json json = m.raw;
  json["parameter_count"] = parameterCount(m);
  json["parameter_bytes"] = parameterBytes(m);
  if (m.isTraining())
    json["planned_bytes"] = trainingBytes(m);
  else
    json["state_bytes"] = stateBytes(m);
  json["libraries"] = linkedVersions();
  if (!m.target.isGpu())
    return json;
  auto device = findDevice(environment);
  json["device"] = device ? Json(*device) : Json();
  if (!device)
    json["device_error"] = device.message();
  return json;
}

} // namespace

Result<int> infoCommand(Environment &environment, const InfoOptions &options) {
  const Manifest &m = environment.manifest;
  if (options.json) {
    environment.out.write(dumpJson(toJson(environment), 2) + "\n");
    return int(kOk);
  }
  std::string required;
  for (const std::string &feature : m.target.required)
    required += (required.empty() ? "" : " ") + feature;
  auto line = [&](std::string key, const std::string &value) {
    key.resize(14, ' ');
    environment.out.write(key + value + "\n");
  };
  line("model", modelText(m));
  line("parameters", groupDigits(parameterCount(m)) + " (" +
                         formatBytes(double(parameterBytes(m))) +
                         " in memory)");
  line("dtype", m.raw["dtype"].get<std::string>() +
                    (m.dtype == DType::I4        ? " with group scales"
                     : isQuantisedDType(m.dtype) ? " with row scales"
                                                 : "") +
                    (m.isTraining() ? "" : ", state f32"));
  if (m.isTraining()) {
    line("training", "up to " + groupDigits(m.training.maxTokens) +
                         " tokens in " + groupDigits(m.training.maxSequences) +
                         " sequences at a time" +
                         (m.training.amp == Manifest::Training::Amp::BF16
                              ? ", operands of products in bf16"
                              : ""));
    line("arena", groupDigits(m.arenaBytes) +
                      " bytes for the values of that many tokens");
    line("memory", groupDigits(trainingBytes(m)) +
                       " bytes planned, with gradients and moments");
  } else {
    const std::string length =
        m.maxPositions > 0
            ? "of up to " + groupDigits(m.maxPositions) + " tokens"
            : "at any length";
    line("state",
         groupDigits(stateBytes(m)) + " bytes per sequence, " + length);
    line("arena", groupDigits(m.arenaBytes) + " bytes");
  }
  if (m.target.isGpu()) {
    auto device = findDevice(environment);
    line("target", "NVIDIA GPU, " + m.target.chip + "; host " +
                       m.target.triple + ", " + m.target.march);
    line("device " + std::to_string(environment.options.device.value_or(0)),
         device ? *device : "none: " + device.message());
  } else {
    line("target",
         m.target.triple + ", " + m.target.march + ", CPU " + m.target.cpu);
  }
  line("requires", required.empty() ? "nothing beyond the target" : required);
  line("weights", weightsText(m));
  line("tokenizer", tokenizerText(m));
  line("compiler", m.compiler);
  line("libraries", linkedVersions());
  line("fingerprint", m.fingerprint);
  return int(kOk);
}

} // namespace tnrt
