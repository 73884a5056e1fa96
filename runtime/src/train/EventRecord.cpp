// The encoding of protocol buffers: a key (field number and wire type) before
// each value. Fields: tensorflow/core/util/event.proto and
// tensorflow/core/framework/summary.proto.
#include "EventRecord.h"

#include "Crc32c.h"
#include "LittleEndian.h"

#include <cstring>

namespace tnrt {
namespace {

enum WireType { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

void putVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void putKey(std::string &out, int field, WireType type) {
  putVarint(out, static_cast<uint64_t>(field) << 3 | type);
}

void putInteger(std::string &out, int field, int64_t value) {
  putKey(out, field, kVarint);
  putVarint(out, static_cast<uint64_t>(value));
}

void putDouble(std::string &out, int field, double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  putKey(out, field, kFixed64);
  putU64(out, bits);
}

void putFloat(std::string &out, int field, double value) {
  const auto narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof bits);
  putKey(out, field, kFixed32);
  putU32(out, bits);
}

void putBytes(std::string &out, int field, std::string_view bytes) {
  putKey(out, field, kLengthDelimited);
  putVarint(out, bytes.size());
  out += bytes;
}

std::string event(double wallTime, int64_t step) {
  std::string out;
  putDouble(out, 1, wallTime);
  putInteger(out, 2, step);
  return out;
}

} // namespace

std::string tfRecord(std::string_view data) {
  std::string record;
  putU64(record, data.size());
  putU32(record, maskedCrc32c(record.data(), 8));
  record += data;
  putU32(record, maskedCrc32c(data.data(), data.size()));
  return record;
}

std::string fileVersionEvent(double wallTime) {
  std::string out;
  putDouble(out, 1, wallTime);
  putBytes(out, 3, "brain.Event:2");
  return out;
}

std::string restartEvent(double wallTime, int64_t step) {
  std::string log;
  putInteger(log, 1, 1); // status: START
  std::string out = event(wallTime, step);
  putBytes(out, 7, log);
  return out;
}

std::string scalarsEvent(double wallTime, int64_t step,
                         const Scalars &scalars) {
  std::string summary;
  for (const auto &[tag, value] : scalars) {
    std::string one;
    putBytes(one, 1, tag);
    putFloat(one, 2, value);
    putBytes(summary, 1, one);
  }
  std::string out = event(wallTime, step);
  putBytes(out, 5, summary);
  return out;
}

} // namespace tnrt
