// Loading what a command needs.
#include "Environment.h"

#include "tnrt/formats/Payload.h"
#include "train/CreateBackend.h"

#include <cstdio>
#include <sys/stat.h>

namespace tnrt {

namespace {

LoadOptions loadOptions(const CommonOptions &options, int64_t batch) {
  LoadOptions load;
  load.device = options.device.value_or(0);
  load.batch = batch;
  load.weightsPath = options.weightsPath;
  load.threads = options.threads;
  load.progress = !options.quiet;
  return load;
}

} // namespace

Result<std::unique_ptr<Model>> Environment::loadModel(int64_t batch) const {
  return Model::load(module, loadOptions(options, batch));
}

Result<std::unique_ptr<TrainBackend>> Environment::loadTrainBackend() const {
  return createTrainBackend(module, manifest, loadOptions(options, 1));
}

Result<std::unique_ptr<Tokenizer>> Environment::loadTokenizer() const {
  Result<std::optional<TokenizerFile>> file = readTokenizer();
  if (!file)
    return file.takeError();
  if (!*file)
    return createByteTokenizer(manifest.vocabSize);
  return parseSentencePiece((*file)->bytes, (*file)->origin,
                            manifest.vocabSize);
}

Result<std::optional<TokenizerFile>> Environment::readTokenizer() const {
  using File = std::optional<TokenizerFile>;
  if (manifest.tokenizer.kind == Manifest::Tokenizer::Kind::Bytes)
    return File();
  std::string path = manifest.tokenizer.path;
  if (path.empty()) {
    auto payload = readPayload("/proc/self/exe");
    if (!payload)
      return payload.takeError();
    if (!payload->tokenizer)
      return Error{"this executable carries no tokenizer, though its manifest "
                   "says so: compile it again"};
    return File({std::string(*payload->tokenizer), "the embedded tokenizer"});
  }
  // A checkpoint directory that has moved brings its tokenizer along.
  struct stat info;
  std::string beside = options.weightsPath + "/tokenizer.model";
  if (!options.weightsPath.empty() && ::stat(path.c_str(), &info) != 0 &&
      ::stat(beside.c_str(), &info) == 0)
    path = beside;
  Result<std::string> bytes = readInput(path);
  if (!bytes)
    return bytes.takeError();
  return File({std::move(*bytes), path});
}

void Environment::note(const std::string &line) const {
  if (!options.quiet)
    std::fprintf(stderr, "%s\n", line.c_str());
}

Result<std::vector<int32_t>>
Environment::encode(const Tokenizer &tokenizer, const std::string &text) const {
  auto ids = tokenizer.encode(text);
  if (!ids)
    return ids.takeError();
  bool hasBos =
      manifest.bosTokenId >= 0 && manifest.bosTokenId < manifest.vocabSize;
  if (manifest.addBosToken && hasBos)
    ids->insert(ids->begin(), static_cast<int32_t>(manifest.bosTokenId));
  return ids;
}

int32_t Environment::bosToken(const Tokenizer &tokenizer) const {
  bool hasBos =
      manifest.bosTokenId >= 0 && manifest.bosTokenId < manifest.vocabSize;
  if (hasBos && (manifest.addBosToken || tokenizer.hasControlTokens()))
    return static_cast<int32_t>(manifest.bosTokenId);
  return -1;
}

} // namespace tnrt
