// Writing and reading state files.
#include "StateFile.h"
#include "TensorCheck.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>

namespace tnrt {
namespace {

using Json = nlohmann::json;

constexpr const char *kFormat = "tnllm-state-1";

// Unfinished characters are not text: they travel as hexadecimal digits.
std::string toHex(const std::string &bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    auto byte = static_cast<uint8_t>(c);
    (out += digits[byte >> 4]) += digits[byte & 15];
  }
  return out;
}

std::optional<std::string> fromHex(const std::string &hex) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  };
  if (hex.size() % 2)
    return std::nullopt;
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    int high = digit(hex[i]), low = digit(hex[i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

Json samplerToJson(const SamplerOptions &o) {
  return {{"temp", o.temperature},
          {"top_k", o.topK},
          {"top_p", o.topP},
          {"min_p", o.minP},
          {"repeat_penalty", o.repeatPenalty},
          {"repeat_last_n", o.repeatLast}};
}

SamplerOptions samplerFromJson(const Json &json) {
  SamplerOptions o;
  o.temperature = json.at("temp").get<float>();
  o.topK = json.at("top_k").get<int64_t>();
  o.topP = json.at("top_p").get<float>();
  o.minP = json.at("min_p").get<float>();
  o.repeatPenalty = json.at("repeat_penalty").get<float>();
  o.repeatLast = json.at("repeat_last_n").get<int64_t>();
  return o;
}

// Rows of different lengths as one matrix, -1 past the ends.
std::vector<int32_t> padded(const std::vector<std::vector<int32_t>> &rows,
                            int64_t &columns) {
  size_t longest = 0;
  for (const auto &row : rows)
    longest = std::max(longest, row.size());
  columns = static_cast<int64_t>(longest);
  std::vector<int32_t> matrix(rows.size() * longest, -1);
  for (size_t i = 0; i < rows.size(); ++i)
    std::copy(rows[i].begin(), rows[i].end(), matrix.begin() + i * longest);
  return matrix;
}

int64_t readI64(const TensorView &view, size_t index) {
  int64_t value;
  std::memcpy(&value, view.data + index * sizeof value, sizeof value);
  return value;
}

std::vector<int32_t> readRow(const TensorView &view, size_t row) {
  auto columns = static_cast<size_t>(view.shape[1]);
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < columns; ++i) {
    int32_t token;
    std::memcpy(&token, view.data + (row * columns + i) * sizeof token,
                sizeof token);
    if (token < 0)
      break;
    tokens.push_back(token);
  }
  return tokens;
}

std::string stateName(size_t layer) { return "state." + std::to_string(layer); }

std::vector<int64_t> stateShape(const Manifest::State &state, int64_t batch) {
  return {batch, state.heads, state.keyWidth, state.valueWidth};
}

} // namespace

Error StateFile::error(const std::string &what) const {
  return Error{file.path() + ": " + what};
}

Result<StateFile> StateFile::open(const std::string &path,
                                  const Manifest &manifest) {
  auto opened = SafetensorsFile::open(path);
  if (!opened)
    return opened.takeError();
  StateFile state(std::move(*opened));
  const auto &metadata = state.file.metadata();
  auto format = metadata.find("format");
  if (format == metadata.end() || format->second != kFormat)
    return state.error(
        "not a state file: expected the metadata \"format\" to be \"" +
        std::string(kFormat) + "\"");
  if (Status status = state.checkModel(manifest); !status)
    return status.takeError();
  if (Status status = state.readSequences(manifest); !status)
    return status.takeError();
  if (Status status = state.readMetadata(); !status)
    return status.takeError();
  return state;
}

Status StateFile::checkModel(const Manifest &manifest) {
  const TensorView *position = file.find("position");
  if (!position || position->dtype != DType::I64 ||
      position->shape.size() != 1 || position->shape[0] < 1)
    return error("expected a tensor \"position\", I64 [B] with B >= 1");
  int64_t batch = position->shape[0];

  std::string other;
  auto metadata = file.metadata();
  if (metadata.count("model"))
    other = " (the file was written by model \"" + metadata["model"] + "\")";
  foreignFingerprint = metadata["fingerprint"] != manifest.fingerprint;
  for (size_t layer = 0; layer < manifest.states.size(); ++layer) {
    const TensorView *view = file.find(stateName(layer));
    auto expected = stateShape(manifest.states[layer], batch);
    if (!view)
      return error("has no " + stateName(layer) + ": this model has " +
                   std::to_string(manifest.states.size()) + " layers" + other);
    if (view->dtype != DType::F32 || view->shape != expected)
      return error(stateName(layer) + " is " + dtypeName(view->dtype) + " " +
                   shapeText(view->shape) + ", expected F32 " +
                   shapeText(expected) + " for this model" + other);
    if (Status status = requireFinite(*view); !status)
      return error(status.message());
  }
  if (file.find(stateName(manifest.states.size())))
    return error("has " + stateName(manifest.states.size()) +
                 ", but this model has " +
                 std::to_string(manifest.states.size()) + " layers" + other);
  return {};
}

Status StateFile::readSequences(const Manifest &manifest) {
  const TensorView *position = file.find("position");
  int64_t batch = position->shape[0];
  auto find = [&](const char *name, DType dtype,
                  size_t rank) -> const TensorView * {
    const TensorView *view = file.find(name);
    bool fits = view && view->dtype == dtype && view->shape.size() == rank &&
                view->shape[0] == batch;
    return fits ? view : nullptr;
  };
  const TensorView *pending = find("pending", DType::I32, 2);
  const TensorView *recent = find("recent", DType::I32, 2);
  const TensorView *seed = find("seed", DType::I64, 1);
  const TensorView *sampled = find("sampled", DType::I64, 1);
  const TensorView *inPrompt = find("in_prompt", DType::I64, 1);
  const TensorView *ended = find("ended", DType::I64, 1);
  if (!pending || !recent || !seed || !sampled || !inPrompt || !ended)
    return error("expected pending and recent, I32 [B, *], and seed, sampled, "
                 "in_prompt and ended, I64 [B]");

  for (size_t row = 0; row < static_cast<size_t>(batch); ++row) {
    SavedSequence entry;
    Sequence &sequence = entry.sequence;
    sequence.pending = readRow(*pending, row);
    for (int32_t token : sequence.pending)
      if (token >= manifest.vocabSize)
        return error("pending holds token id " + std::to_string(token) +
                     ", but this model's vocabulary has " +
                     std::to_string(manifest.vocabSize) + " entries");
    if (sequence.pending.empty())
      return error("pending holds no token for sequence " +
                   std::to_string(row));
    int64_t at = readI64(*position, row);
    if (at < 0 || at > kMaxPosition)
      return error("position[" + std::to_string(row) + "] is " +
                   std::to_string(at) + ", expected a value in [0, 2^40]");
    sequence.seed = static_cast<uint64_t>(readI64(*seed, row));
    sequence.sampled = static_cast<uint64_t>(readI64(*sampled, row));
    sequence.inPrompt = readI64(*inPrompt, row) != 0;
    sequence.ended = readI64(*ended, row) != 0;
    if (!sequence.inPrompt && sequence.pending.size() != 1)
      return error("expected one pending token for sequence " +
                   std::to_string(row) + ", found " +
                   std::to_string(sequence.pending.size()));
    saved.push_back(std::move(entry));
  }
  return {};
}

Status StateFile::readMetadata() {
  auto metadata = file.metadata();
  Json text;
  try {
    options = samplerFromJson(Json::parse(metadata["sampler"]));
    text = Json::parse(metadata["text"]);
    if (!text.is_array() || text.size() != saved.size())
      return error(
          "metadata \"text\": expected a list with one entry a sequence");
    for (size_t row = 0; row < saved.size(); ++row) {
      auto bytes = fromHex(text[row].at("bytes").get<std::string>());
      auto stop = fromHex(text[row].at("stop").get<std::string>());
      if (!bytes || !stop)
        return error("metadata \"text\": expected hexadecimal digits");
      saved[row].partialBytes = *bytes;
      saved[row].partialStop = *stop;
    }
  } catch (const Json::exception &) {
    return error("the metadata \"sampler\" and \"text\" are not what a state "
                 "file holds");
  }
  const TensorView *recent = file.find("recent");
  for (size_t row = 0; row < saved.size(); ++row) {
    RecentTokens ring(options.repeatLast);
    for (int32_t token : readRow(*recent, row))
      ring.push(token);
    saved[row].sequence.recent = ring;
  }
  return {};
}

Status StateFile::restore(Session &session) const {
  const TensorView *position = file.find("position");
  for (size_t row = 0; row < saved.size(); ++row)
    session.positions()[row] = readI64(*position, row);
  for (size_t layer = 0; const TensorView *view = file.find(stateName(layer));
       ++layer)
    if (Status status =
            session.writeStates(static_cast<int64_t>(layer), view->data);
        !status)
      return status;
  return {};
}

Status saveState(const std::string &path, const Manifest &manifest,
                 Session &session, const std::vector<SavedSequence> &sequences,
                 const SamplerOptions &sampler) {
  auto batch = static_cast<int64_t>(sequences.size());
  std::vector<std::vector<int32_t>> pendingRows, recentRows;
  std::vector<int64_t> seed, sampled, inPrompt, ended;
  Json text = Json::array();
  for (const SavedSequence &entry : sequences) {
    const Sequence &sequence = entry.sequence;
    pendingRows.push_back(sequence.pending);
    recentRows.push_back(sequence.recent.inOrder());
    seed.push_back(static_cast<int64_t>(sequence.seed));
    sampled.push_back(static_cast<int64_t>(sequence.sampled));
    inPrompt.push_back(sequence.inPrompt);
    ended.push_back(sequence.ended);
    text.push_back({{"bytes", toHex(entry.partialBytes)},
                    {"stop", toHex(entry.partialStop)}});
  }
  int64_t pendingColumns = 0, recentColumns = 0;
  auto pending = padded(pendingRows, pendingColumns);
  auto recent = padded(recentRows, recentColumns);

  std::vector<TensorSpec> specs;
  for (size_t layer = 0; layer < manifest.states.size(); ++layer)
    specs.push_back({stateName(layer), DType::F32,
                     stateShape(manifest.states[layer], batch)});
  struct Part {
    TensorSpec spec;
    const void *data;
    size_t bytes;
  };
  std::vector<Part> parts;
  auto addI64 = [&](const char *name, const std::vector<int64_t> &values) {
    parts.push_back({{name, DType::I64, {batch}},
                     values.data(),
                     values.size() * sizeof(int64_t)});
  };
  addI64("position", session.positions());
  addI64("seed", seed);
  addI64("sampled", sampled);
  addI64("in_prompt", inPrompt);
  addI64("ended", ended);
  parts.push_back({{"pending", DType::I32, {batch, pendingColumns}},
                   pending.data(),
                   pending.size() * sizeof(int32_t)});
  parts.push_back({{"recent", DType::I32, {batch, recentColumns}},
                   recent.data(),
                   recent.size() * sizeof(int32_t)});

  for (const Part &part : parts)
    specs.push_back(part.spec);
  auto writer =
      SafetensorsWriter::create(path, specs,
                                {{"format", kFormat},
                                 {"fingerprint", manifest.fingerprint},
                                 {"model", manifest.name},
                                 {"sampler", samplerToJson(sampler).dump()},
                                 {"text", text.dump()}});
  if (!writer)
    return writer.takeError();
  std::vector<float> state;
  for (size_t layer = 0; layer < manifest.states.size(); ++layer) {
    auto index = static_cast<int64_t>(layer);
    state.resize(static_cast<size_t>(batch * session.stateElements(index)));
    Status status = session.readStates(index, state.data());
    if (status)
      status = writer->write(state.data(), state.size() * sizeof(float));
    if (!status)
      return status;
  }
  for (const Part &part : parts)
    if (Status status = writer->write(part.data, part.bytes); !status)
      return status;
  return writer->commit();
}

} // namespace tnrt
