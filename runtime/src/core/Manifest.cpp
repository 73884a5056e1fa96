// Reads the manifest. The compiler wrote it, but a wrong one must give a
// message all the same: every value is checked before it is used.
#include "Manifest.h"

#include "tnrt/formats/Text.h"

#include <limits>
#include <set>

namespace tnrt {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t maxInt = std::numeric_limits<int64_t>::max();

// Reads members of one object and keeps the first error, so that the parser
// below reads as a list of fields.
class Reader {
public:
  Reader(const Json &object, std::string path, std::string &error)
      : object(object), path(std::move(path)), error(error) {
    if (!object.is_object())
      fail("", "expected an object");
  }

  bool ok() const { return error.empty(); }

  void fail(const std::string &key, const std::string &what) {
    if (error.empty())
      error =
          "manifest: " + (place(key).empty() ? "" : place(key) + ": ") + what;
  }

  std::string place(const std::string &key) const {
    return key.empty() ? path : path.empty() ? key : path + "." + key;
  }

  const Json *member(const char *key, bool required = true) {
    if (!ok())
      return nullptr;
    auto it = object.find(key);
    if (it != object.end())
      return &*it;
    if (required)
      fail(key, "is missing");
    return nullptr;
  }

  void string(const char *key, std::string &value, bool required = true) {
    const Json *json = member(key, required);
    if (json && !json->is_string())
      return fail(key, "expected a string");
    if (json)
      value = json->get_ref<const std::string &>();
  }

  void integer(const char *key, int64_t &value, int64_t least,
               bool required = true, int64_t most = maxInt) {
    const Json *json = member(key, required);
    if (!json || (!required && json->is_null()))
      return;
    const bool fits = json->is_number_integer() &&
                      !(json->is_number_unsigned() &&
                        json->get<uint64_t>() > uint64_t(maxInt));
    if (!fits || json->get<int64_t>() < least || json->get<int64_t>() > most)
      return fail(
          key,
          "expected an integer of at least " + std::to_string(least) +
              (most == maxInt ? "" : " and at most " + std::to_string(most)));
    value = json->get<int64_t>();
  }

  void number(const char *key, double &value) {
    const Json *json = member(key);
    if (json && !json->is_number())
      return fail(key, "expected a number");
    if (json)
      value = json->get<double>();
  }

  void boolean(const char *key, bool &value) {
    const Json *json = member(key, false);
    if (json && !json->is_boolean())
      return fail(key, "expected true or false");
    if (json)
      value = json->get<bool>();
  }

  // One of the types of weights, by its name among `names`: of F32, BF16, I8,
  // F8E4M3 and I4.
  void dtype(const char *key, DType &value,
             std::initializer_list<const char *> names) {
    int index = 0;
    choice(key, index, names);
    constexpr DType dtypes[] = {DType::F32, DType::BF16, DType::I8,
                                DType::F8E4M3, DType::I4};
    value = dtypes[index];
  }

  // Index of the member's string among `names`.
  template <typename Enum>
  void choice(const char *key, Enum &value,
              std::initializer_list<const char *> names) {
    std::string name, all;
    string(key, name);
    if (!ok())
      return;
    int index = 0;
    for (const char *candidate : names) {
      if (name == candidate) {
        value = static_cast<Enum>(index);
        return;
      }
      all += (index++ ? ", '" : "'") + std::string(candidate) + "'";
    }
    fail(key, "expected one of " + all + ", found " + quote(name));
  }

  const Json &array(const char *key) {
    static const Json none = Json::array();
    const Json *json = member(key);
    if (json && json->is_array())
      return *json;
    if (json)
      fail(key, "expected a list");
    return none;
  }

  void strings(const char *key, std::vector<std::string> &values) {
    for (const Json &item : array(key)) {
      if (!item.is_string())
        return fail(key, "expected a list of strings");
      values.push_back(item.get_ref<const std::string &>());
    }
  }

  // A list of lists of positive sizes.
  void shapes(const char *key, std::vector<std::vector<int64_t>> &values) {
    for (const Json &item : array(key)) {
      std::vector<int64_t> shape;
      for (const Json &size : item)
        if (size.is_number_integer() && size.get<int64_t>() > 0)
          shape.push_back(size.get<int64_t>());
      if (!item.is_array() || shape.size() != item.size() ||
          !elementCount(shape))
        return fail(key, "expected a list of lists of positive integers");
      values.push_back(std::move(shape));
    }
  }

  Reader child(const char *key) {
    static const Json none = Json::object();
    const Json *json = member(key);
    return Reader(json ? *json : none, place(key), error);
  }

  // Element `index` of the list `key`.
  Reader item(const char *key, size_t index, const Json &json) {
    return Reader(json, place(key) + "[" + std::to_string(index) + "]", error);
  }

private:
  const Json &object;
  std::string path;
  std::string &error;
};

void readModel(Reader model, Manifest &manifest) {
  model.string("name", manifest.name, false);
  model.integer("vocab_size", manifest.vocabSize, 1, true,
                std::numeric_limits<int32_t>::max());
  model.integer("decoder_embed_dim", manifest.width, 1);
  model.integer("decoder_layers", manifest.layers, 1);
  // -1: the model has no such token.
  model.integer("pad_token_id", manifest.padTokenId, -1, false);
  model.integer("bos_token_id", manifest.bosTokenId, -1, false);
  model.integer("eos_token_id", manifest.eosTokenId, -1, false);
  model.boolean("add_bos_token", manifest.addBosToken);
  // Null or missing: any number.
  model.integer("max_position_embeddings", manifest.maxPositions, 1, false);
}

void readInit(Reader init, InitSpec &spec) {
  init.choice("kind", spec.kind, {"normal", "constant", "lrpe_theta"});
  if (init.ok() && spec.kind == InitSpec::Kind::Normal)
    init.number("std", spec.std);
  if (init.ok() && spec.kind == InitSpec::Kind::Constant)
    init.number("value", spec.value);
}

Manifest::Parameter readParameter(Reader reader) {
  Manifest::Parameter parameter;
  reader.string("tensor", parameter.tensor);
  reader.dtype("dtype", parameter.dtype, {"f32", "bf16", "i8", "f8e4m3", "i4"});
  for (const Json &extent : reader.array("shape")) {
    if (!extent.is_number_integer() || extent.get<int64_t>() < 1) {
      reader.fail("shape", "expected positive integers");
      break;
    }
    parameter.shape.push_back(extent.get<int64_t>());
  }
  Reader layout = reader.child("layout");
  layout.choice(
      "kind", parameter.layout.kind,
      {"rows", "panels", "row_scales", "row_scales_f8", "group_scales"});
  if (layout.ok() && parameter.layout.kind == Layout::Kind::GroupScales)
    layout.integer("width", parameter.layout.width, 1);
  if (layout.ok() && parameter.layout.kind == Layout::Kind::Panels) {
    layout.integer("width", parameter.layout.width, 1);
    layout.integer("step", parameter.layout.step, 1);
  }
  if (reader.member("init", false))
    readInit(reader.child("init"), parameter.init);
  if (reader.ok())
    if (Status status =
            checkLayout(parameter.shape, parameter.dtype, parameter.layout);
        !status)
      reader.fail("", status.message());
  return parameter;
}

void readProbes(Reader &root, Manifest &manifest) {
  root.strings("probes", manifest.probes);
  if (root.ok() && root.member("probe_shapes", false))
    root.shapes("probe_shapes", manifest.probeShapes);
  else
    manifest.probeShapes.assign(manifest.probes.size(), {manifest.width});
  if (root.ok() && manifest.probeShapes.size() != manifest.probes.size())
    root.fail("probe_shapes", "expected one for each of the " +
                                  std::to_string(manifest.probes.size()) +
                                  " probes, found " +
                                  std::to_string(manifest.probeShapes.size()));
}

void readStates(Reader &root, Manifest &manifest) {
  for (const Json &json : root.array("states")) {
    Reader reader = root.item("states", manifest.states.size(), json);
    Manifest::State state;
    reader.integer("heads", state.heads, 1);
    reader.integer("key_width", state.keyWidth, 1);
    reader.integer("value_width", state.valueWidth, 1);
    if (reader.ok() && !elementCount({state.heads, state.keyWidth,
                                      state.valueWidth, sizeof(float)}))
      reader.fail("", "is too large");
    if (!reader.ok())
      return;
    manifest.states.push_back(state);
  }
}

void readTarget(Reader target, Manifest::Target &value) {
  target.string("triple", value.triple, false);
  target.string("march", value.march, false);
  target.string("cpu", value.cpu, false);
  target.strings("requires", value.required);
  bool isGpu = false;
  if (target.member("kind", false))
    target.choice("kind", isGpu, {"cpu", "gpu"});
  if (!isGpu)
    return;
  target.string("chip", value.chip);
  if (target.ok() && value.chip.empty())
    target.fail("chip", "expected a GPU such as 'sm_90a'");
}

void readCapacity(Reader capacity, Manifest::Capacity &value) {
  capacity.integer("prefill_rows", value.prefillRows, 1);
  capacity.integer("decode_rows", value.decodeRows, 1);
  capacity.integer("head_rows", value.headRows, 1);
}

void readTraining(Reader training, Manifest::Training &value) {
  training.integer("max_tokens", value.maxTokens, 1);
  training.integer("max_sequences", value.maxSequences, 1);
  if (training.ok() && training.member("amp", false))
    training.choice("amp", value.amp, {"off", "bf16"});
}

// What the optimizer can update, each tensor once.
void checkTrained(Reader &root, const Manifest &manifest) {
  std::set<std::string> tensors;
  for (const Manifest::Parameter &parameter : manifest.parameters) {
    if (parameter.dtype != DType::F32 ||
        parameter.layout.kind != Layout::Kind::Rows)
      root.fail("parameters", "expected f32 in rows to train, found another "
                              "type or layout of " +
                                  quote(parameter.tensor));
    if (!tensors.insert(parameter.tensor).second)
      root.fail("parameters", "expected each tensor once to train, found " +
                                  quote(parameter.tensor) + " twice");
  }
}

void readWeights(Reader weights, Manifest::Weights &value) {
  weights.choice("kind", value.kind, {"link", "embed", "random"});
  if (!weights.ok())
    return;
  if (value.kind == Manifest::Weights::Kind::Link)
    weights.string("path", value.path);
  if (value.kind != Manifest::Weights::Kind::Random)
    return;
  const Json *seed = weights.member("seed");
  if (seed && !seed->is_number_integer())
    weights.fail("seed", "expected an integer");
  else if (seed)
    value.seed = seed->get<uint64_t>();
}

void readTokenizer(Reader tokenizer, Manifest::Tokenizer &value) {
  tokenizer.choice("kind", value.kind, {"sentencepiece", "bytes"});
  if (tokenizer.ok() && value.kind == Manifest::Tokenizer::Kind::Sentencepiece)
    tokenizer.string("path", value.path, false);
}

void readRoot(Reader root, Manifest &manifest) {
  root.integer("abi", manifest.abi, 0);
  root.string("compiler", manifest.compiler, false);
  root.string("fingerprint", manifest.fingerprint);
  readTarget(root.child("target"), manifest.target);
  root.dtype("dtype", manifest.dtype, {"f32", "bf16", "int8", "fp8", "int4"});
  readModel(root.child("model"), manifest);
  const bool isTraining = root.member("training", false) != nullptr;
  if (isTraining)
    readTraining(root.child("training"), manifest.training);
  else
    readCapacity(root.child("capacity"), manifest.capacity);
  root.integer("arena_bytes", manifest.arenaBytes, 0);
  readStates(root, manifest);
  if (root.ok() && !isTraining &&
      static_cast<int64_t>(manifest.states.size()) != manifest.layers)
    root.fail("states", "expected one for each of the " +
                            std::to_string(manifest.layers) +
                            " layers, found " +
                            std::to_string(manifest.states.size()));
  for (const Json &json : root.array("parameters"))
    manifest.parameters.push_back(readParameter(
        root.item("parameters", manifest.parameters.size(), json)));
  if (isTraining)
    checkTrained(root, manifest);
  readProbes(root, manifest);
  readWeights(root.child("weights"), manifest.weights);
  readTokenizer(root.child("tokenizer"), manifest.tokenizer);
}

} // namespace

Result<Manifest> Manifest::parse(std::string_view json) {
  Manifest manifest;
  manifest.raw = Json::parse(json.begin(), json.end(), nullptr,
                             /*allow_exceptions=*/false);
  if (manifest.raw.is_discarded())
    return Error{"manifest: is not valid JSON"};
  std::string error;
  readRoot(Reader(manifest.raw, "", error), manifest);
  if (!error.empty())
    return Error{std::move(error)};
  return manifest;
}

} // namespace tnrt
