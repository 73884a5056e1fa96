// Writes the manifest (docs/Manifest.md).
#include "tnllm/Target/Manifest.h"
#include "tnrt/abi.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tnllm {
namespace {

void writeTarget(json::OStream &out, const CPUTarget &target,
                 const GPUTarget *gpu) {
  out.attributeObject("target", [&] {
    if (gpu) {
      out.attribute("kind", "gpu");
      out.attribute("chip", gpu->chip);
    }
    out.attribute("triple", target.triple);
    out.attribute("march", target.march);
    out.attribute("cpu", target.cpu);
    out.attributeArray("requires", [&] {
      for (const std::string &feature : target.requiredFeatures)
        out.value(feature);
    });
  });
}

void writeLayout(json::OStream &out, const ParameterLayout &layout) {
  out.attributeObject("layout", [&] {
    switch (layout.kind) {
    case ParameterLayout::Rows:
      out.attribute("kind", "rows");
      break;
    case ParameterLayout::Panels:
      out.attribute("kind", "panels");
      out.attribute("width", layout.width);
      out.attribute("step", layout.step);
      break;
    case ParameterLayout::RowScales:
      out.attribute("kind", "row_scales");
      break;
    case ParameterLayout::RowScalesF8:
      out.attribute("kind", "row_scales_f8");
      break;
    case ParameterLayout::GroupScales:
      out.attribute("kind", "group_scales");
      out.attribute("width", layout.width);
      break;
    }
  });
}

void writeInit(json::OStream &out, const ParameterInit &init) {
  out.attributeObject("init", [&] {
    switch (init.kind) {
    case ParameterInit::Normal:
      out.attribute("kind", "normal");
      out.attribute("std", init.value);
      break;
    case ParameterInit::Constant:
      out.attribute("kind", "constant");
      out.attribute("value", init.value);
      break;
    case ParameterInit::LrpeTheta:
      out.attribute("kind", "lrpe_theta");
      break;
    }
  });
}

void writeParameter(json::OStream &out, const ProgramParameter &parameter) {
  out.object([&] {
    out.attribute("tensor", parameter.tensor);
    out.attributeArray("shape", [&] {
      for (int64_t size : parameter.shape)
        out.value(size);
    });
    out.attribute("dtype", elementName(parameter.dtype));
    writeLayout(out, parameter.layout);
    writeInit(out, parameter.init);
  });
}

void writeProgram(json::OStream &out, const ProgramInfo &program) {
  if (program.trainTokens > 0)
    out.attributeObject("training", [&] {
      out.attribute("max_tokens", program.trainTokens);
      out.attribute("max_sequences", program.trainSequences);
      out.attribute("amp", program.mixedPrecision ? "bf16" : "off");
    });
  else
    out.attributeObject("capacity", [&] {
      out.attribute("prefill_rows", program.prefillRows);
      out.attribute("decode_rows", program.decodeRows);
      out.attribute("head_rows", program.headRows);
    });
  out.attribute("arena_bytes", program.arenaBytes);
  out.attributeArray("states", [&] {
    for (const ProgramState &state : program.states)
      out.object([&] {
        out.attribute("heads", state.heads);
        out.attribute("key_width", state.keyWidth);
        out.attribute("value_width", state.valueWidth);
      });
  });
  out.attributeArray("parameters", [&] {
    for (const ProgramParameter &parameter : program.parameters)
      writeParameter(out, parameter);
  });
  out.attributeArray("probes", [&] {
    for (const std::string &probe : program.probes)
      out.value(probe);
  });
  if (!program.probeShapes.empty())
    out.attributeArray("probe_shapes", [&] {
      for (const std::vector<int64_t> &shape : program.probeShapes)
        out.value(json::Array(shape));
    });
}

// JSON strings are UTF-8, paths are bytes; the runtime reads the result back as
// bytes, so only what JSON cannot say is lost.
std::string asUTF8(StringRef path) {
  return json::isUTF8(path) ? path.str() : json::fixUTF8(path);
}

void writeWeights(json::OStream &out, const WeightsSource &weights) {
  out.attributeObject("weights", [&] {
    switch (weights.kind) {
    case WeightsSource::Link:
      out.attribute("kind", "link");
      out.attribute("path", asUTF8(weights.path));
      break;
    case WeightsSource::Embed:
      out.attribute("kind", "embed");
      break;
    case WeightsSource::Random:
      out.attribute("kind", "random");
      out.attribute("seed", weights.seed);
      break;
    }
  });
}

void writeTokenizer(json::OStream &out, const TokenizerSource &tokenizer,
                    bool embedded) {
  out.attributeObject("tokenizer", [&] {
    if (tokenizer.kind == TokenizerSource::Bytes) {
      out.attribute("kind", "bytes");
      return;
    }
    out.attribute("kind", "sentencepiece");
    if (!embedded)
      out.attribute("path", asUTF8(tokenizer.path));
  });
}

} // namespace

std::string getCompilerVersion() {
  return "tnllm " TNLLM_VERSION ", LLVM " LLVM_VERSION_STRING;
}

std::string getFingerprint(const ModelSpec &spec, const CPUTarget &target,
                           DType dtype, const GPUTarget *gpu,
                           bool mixedPrecision) {
  std::string text;
  raw_string_ostream out(text);
  // `march` is only a name: native compiled for two machines differs in the
  // CPU.
  out << getCompilerVersion() << '\n'
      << spec.toJSON() << '\n'
      << target.triple << '\n'
      << target.cpu << '\n'
      << target.features << '\n'
      << stringify(dtype) << '\n';
  if (gpu)
    out << gpu->chip << '\n' << gpu->features << '\n';
  if (mixedPrecision)
    out << "mixed precision\n";
  auto digest = BLAKE3::hash<16>(arrayRefFromStringRef(text));
  return toHex(digest, /*LowerCase=*/true);
}

std::string buildManifest(const ModelSpec &spec, const CPUTarget &target,
                          DType dtype, const ProgramInfo &program,
                          const WeightsSource &weights,
                          const TokenizerSource &tokenizer,
                          const GPUTarget *gpu) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream out(stream);
  out.object([&] {
    out.attribute("abi", TNRT_ABI_VERSION);
    out.attribute("compiler", getCompilerVersion());
    out.attribute("fingerprint", getFingerprint(spec, target, dtype, gpu,
                                                program.mixedPrecision));
    writeTarget(out, target, gpu);
    out.attribute("dtype", stringify(dtype));
    out.attributeBegin("model");
    out.rawValue(spec.toJSON());
    out.attributeEnd();
    writeProgram(out, program);
    writeWeights(out, weights);
    writeTokenizer(out, tokenizer, weights.kind == WeightsSource::Embed);
  });
  return text;
}

} // namespace tnllm
