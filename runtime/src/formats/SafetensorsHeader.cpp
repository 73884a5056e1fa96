// Parses a safetensors header event by event. Without a document tree, a
// hostile header cannot make the reader hold more than the names it states, and
// whatever the format does not know (deeper nesting, other types) is refused
// where it stands.
#include "SafetensorsHeader.h"

#include "tnrt/formats/Text.h"

#include <nlohmann/json.hpp>

#include <unordered_set>

namespace tnrt {

namespace {

using Json = nlohmann::json;

constexpr size_t maxRank = 64;

class HeaderHandler final : public nlohmann::json_sax<Json> {
public:
  ParsedHeader header;
  std::string error;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(double, const std::string &text) override {
    return unexpected("the number " + text.substr(0, 40));
  }
  bool binary(Json::binary_t &) override { return unexpected("binary data"); }

  bool number_integer(int64_t value) override {
    if (place == Place::Shape && value < 0)
      return fail(entryName() + ": negative dimension " +
                  std::to_string(value) + " in its shape");
    return unexpected("the number " + std::to_string(value));
  }

  bool number_unsigned(uint64_t value) override {
    if (place == Place::Shape) {
      if (value > static_cast<uint64_t>(INT64_MAX))
        return fail(entryName() + ": dimension " + std::to_string(value) +
                    " is too large");
      if (entry.shape.size() == maxRank)
        return fail(entryName() + ": has more than " + std::to_string(maxRank) +
                    " dimensions");
      entry.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place == Place::Offsets) {
      if (offsets == 2)
        return fail(entryName() + ": data_offsets has more than 2 numbers");
      (offsets++ ? entry.end : entry.begin) = value;
      return true;
    }
    return unexpected("the number " + std::to_string(value));
  }

  bool string(std::string &value) override {
    if (place == Place::Metadata) {
      header.metadata[key_] = value;
      return true;
    }
    if (place != Place::Entry || field != Field::DType)
      return unexpected("the string " + quote(value));
    std::optional<DType> dtype = parseDType(value);
    if (!dtype)
      return fail(entryName() + ": unknown dtype " + quote(value));
    entry.dtype = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    switch (place) {
    case Place::Start:
      place = Place::Root;
      return true;
    case Place::Root:
      seen = 0;
      place = inMetadata ? Place::Metadata : Place::Entry;
      return true;
    default:
      return unexpected("an object");
    }
  }

  bool key(std::string &name) override {
    switch (place) {
    case Place::Root:
      return rootKey(name);
    case Place::Metadata:
      key_ = name;
      return header.metadata.count(name)
                 ? fail("__metadata__ has the key " + quote(name) + " twice")
                 : true;
    case Place::Entry:
      return entryKey(name);
    default:
      return unexpected("a key");
    }
  }

  bool end_object() override {
    if (place == Place::Root) {
      place = Place::End;
      return true;
    }
    bool complete = place == Place::Metadata || finishEntry();
    place = Place::Root;
    return complete;
  }

  bool start_array(size_t) override {
    if (place == Place::Entry && field == Field::Shape)
      place = Place::Shape;
    else if (place == Place::Entry && field == Field::Offsets)
      place = Place::Offsets;
    else
      return unexpected("an array");
    return true;
  }

  bool end_array() override {
    if (place == Place::Offsets && offsets != 2)
      return fail(entryName() + ": data_offsets has " +
                  std::to_string(offsets) + " numbers, expected 2");
    place = Place::Entry;
    return true;
  }

  bool parse_error(size_t position, const std::string &,
                   const nlohmann::detail::exception &) override {
    return fail("header is not valid JSON at byte " + std::to_string(position));
  }

private:
  enum class Place { Start, Root, Metadata, Entry, Shape, Offsets, End };
  enum class Field { DType = 1, Shape = 2, Offsets = 4 };

  bool fail(std::string message) {
    if (error.empty())
      error = std::move(message);
    return false;
  }

  std::string entryName() const { return "tensor " + quote(entry.name); }

  bool unexpected(const std::string &what) {
    switch (place) {
    case Place::Start:
    case Place::End:
      return fail("header is " + what + ", expected a JSON object");
    case Place::Root:
      return fail((inMetadata ? std::string("__metadata__") : entryName()) +
                  ": is " + what + ", expected an object");
    case Place::Metadata:
      return fail("__metadata__: " + quote(key_) + " is " + what +
                  ", expected a string");
    case Place::Shape:
      return fail(entryName() + ": shape holds " + what +
                  ", expected integers");
    case Place::Offsets:
      return fail(entryName() + ": data_offsets holds " + what +
                  ", expected non-negative integers");
    case Place::Entry:
      break;
    }
    const char *name = field == Field::DType   ? "dtype"
                       : field == Field::Shape ? "shape"
                                               : "data_offsets";
    const char *type = field == Field::DType ? "a string" : "an array";
    return fail(entryName() + ": " + name + " is " + what + ", expected " +
                type);
  }

  bool rootKey(const std::string &name) {
    inMetadata = name == "__metadata__";
    if (!names.insert(name).second)
      return fail("tensor " + quote(name) + " stands in the header twice");
    entry = HeaderEntry{};
    entry.name = name;
    offsets = 0;
    return true;
  }

  bool entryKey(const std::string &name) {
    if (name == "dtype")
      field = Field::DType;
    else if (name == "shape")
      field = Field::Shape;
    else if (name == "data_offsets")
      field = Field::Offsets;
    else
      return fail(entryName() + ": unknown key " + quote(name));
    if (seen & static_cast<unsigned>(field))
      return fail(entryName() + ": the key " + quote(name) + " stands twice");
    seen |= static_cast<unsigned>(field);
    return true;
  }

  bool finishEntry() {
    for (auto [bit, name] : {std::pair{Field::DType, "dtype"},
                             {Field::Shape, "shape"},
                             {Field::Offsets, "data_offsets"}})
      if (!(seen & static_cast<unsigned>(bit)))
        return fail(entryName() + ": has no " + name);
    std::optional<int64_t> count = elementCount(entry.shape);
    int64_t bytes = 0;
    if (!count ||
        __builtin_mul_overflow(*count, dtypeBytes(entry.dtype), &bytes))
      return fail(entryName() + ": shape " + shapeText(entry.shape) +
                  " overflows 64 bits");
    const std::string range = "data_offsets [" + std::to_string(entry.begin) +
                              ", " + std::to_string(entry.end) + ")";
    if (entry.begin > entry.end)
      return fail(entryName() + ": " + range + " end before they begin");
    if (entry.end - entry.begin != static_cast<uint64_t>(bytes))
      return fail(entryName() + ": " + range + " hold " +
                  std::to_string(entry.end - entry.begin) +
                  " bytes, but shape " + shapeText(entry.shape) + " of " +
                  dtypeName(entry.dtype) + " needs " + std::to_string(bytes));
    header.entries.push_back(std::move(entry));
    return true;
  }

  Place place = Place::Start;
  Field field = Field::DType;
  bool inMetadata = false;
  unsigned seen = 0; // fields of the current entry
  int offsets = 0;
  HeaderEntry entry;
  std::string key_;
  std::unordered_set<std::string> names;
};

} // namespace

Result<ParsedHeader> parseSafetensorsHeader(std::string_view json) {
  if (json.empty() || json.front() != '{')
    return Error{"header does not begin with '{', expected a JSON object"};
  HeaderHandler handler;
  if (!Json::sax_parse(json.begin(), json.end(), &handler))
    return Error{handler.error.empty() ? "header is not valid JSON"
                                       : std::move(handler.error)};
  return std::move(handler.header);
}

} // namespace tnrt
