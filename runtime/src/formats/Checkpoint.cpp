// Finds a checkpoint's files and joins their tensors.
#include "tnrt/formats/Safetensors.h"
#include "tnrt/formats/Text.h"

#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unordered_set>

namespace tnrt {

namespace {

using Json = nlohmann::json;

constexpr size_t maxIndexBytes = 100'000'000;
// {"metadata": {...}, "weight_map": {...}}: deeper values are not kept.
constexpr int maxIndexDepth = 4;

bool isDirectory(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool exists(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

bool endsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// The folder part with its slash, or nothing.
std::string folderPrefix(const std::string &path) {
  return path.substr(0, path.rfind('/') + 1);
}

bool isPlainFileName(const std::string &name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

// Tensor name to shard file name, in the index's own order of names.
Result<std::map<std::string, std::string>> readIndex(const std::string &path) {
  Result<std::string> text = readWholeFile(path, maxIndexBytes);
  if (!text)
    return text.takeError();
  std::unordered_set<std::string> names;
  std::string twice;
  bool inMap = false;
  auto watch = [&](int depth, Json::parse_event_t event, Json &value) {
    if (event == Json::parse_event_t::key && depth == 1)
      inMap = value == "weight_map";
    else if (event == Json::parse_event_t::key && depth == 2 && inMap)
      if (!names.insert(value.get_ref<const std::string &>()).second)
        twice = value.get_ref<const std::string &>();
    return depth < maxIndexDepth;
  };
  Json index = Json::parse(*text, watch, /*allow_exceptions=*/false);
  if (index.is_discarded())
    return Error{path + ": is not valid JSON"};
  if (!index.is_object())
    return Error{path + ": expected an object with 'weight_map'"};
  auto entries = index.find("weight_map");
  if (entries == index.end() || !entries->is_object())
    return Error{path + ": has no object 'weight_map'"};
  if (!twice.empty())
    return Error{path + ": weight_map has tensor " + quote(twice) + " twice"};
  std::map<std::string, std::string> map;
  for (const auto &[tensor, file] : entries->items()) {
    if (!file.is_string())
      return Error{path + ": weight_map: tensor " + quote(tensor) +
                   ": expected a file name"};
    const std::string &name = file.get_ref<const std::string &>();
    if (!isPlainFileName(name))
      return Error{path + ": weight_map: tensor " + quote(tensor) +
                   ": expected a file of the same folder, found " +
                   quote(name)};
    map.emplace(tensor, name);
  }
  return map;
}

} // namespace

void Checkpoint::add(const TensorView &view) {
  byName.emplace(view.name, views.size());
  views.push_back(view);
}

Checkpoint Checkpoint::of(SafetensorsFile file) {
  Checkpoint result;
  result.label = file.path();
  for (const TensorView &view : file.tensors())
    result.add(view);
  result.shards.push_back(std::move(file));
  return result;
}

Result<Checkpoint> Checkpoint::open(const std::string &path) {
  std::string index = path;
  if (isDirectory(path)) {
    const std::string single = path + "/model.safetensors";
    index = path + "/model.safetensors.index.json";
    if (exists(single) || !exists(index)) {
      if (!exists(single))
        return Error{path + ": holds neither model.safetensors nor "
                            "model.safetensors.index.json"};
      index = single;
    }
  }
  if (!endsWith(index, ".index.json")) {
    Result<SafetensorsFile> file = SafetensorsFile::open(index);
    if (!file)
      return file.takeError();
    return of(std::move(*file));
  }

  Result<std::map<std::string, std::string>> map = readIndex(index);
  if (!map)
    return map.takeError();
  Checkpoint result;
  result.label = index;
  std::map<std::string, size_t> shardOf;
  std::vector<std::string> missing;
  for (const auto &[tensor, file] : *map) {
    auto [position, isNew] = shardOf.emplace(file, result.shards.size());
    if (isNew) {
      Result<SafetensorsFile> shard =
          SafetensorsFile::open(folderPrefix(index) + file);
      if (!shard)
        return Error{shard.message() + " (a shard of " + index + ")"};
      result.shards.push_back(std::move(*shard));
    }
    if (const TensorView *view = result.shards[position->second].find(tensor))
      result.add(*view);
    else
      missing.push_back(quote(tensor) + " in " + quote(file));
  }
  if (!missing.empty())
    return Error{index +
                 ": weight_map names tensors that are not in their shard: " +
                 joined(missing)};
  return result;
}

std::vector<std::string> Checkpoint::files() const {
  std::vector<std::string> paths;
  for (const SafetensorsFile &shard : shards)
    paths.push_back(shard.path());
  if (shards.size() != 1 || shards.front().path() != label)
    paths.push_back(label);
  return paths;
}

const TensorView *Checkpoint::find(const std::string &name) const {
  auto it = byName.find(name);
  return it == byName.end() ? nullptr : &views[it->second];
}

} // namespace tnrt
