// TensorBoard's event files: TFRecords that hold tensorflow.Event messages. The
// few fields that a curve needs, encoded by hand.
//
// A TFRecord is u64 length, u32 masked CRC-32C of those 8 bytes, the data, u32
// masked CRC-32C of the data; little-endian.
#ifndef TNRT_TRAIN_EVENTRECORD_H
#define TNRT_TRAIN_EVENTRECORD_H

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tnrt {

using Scalars = std::vector<std::pair<std::string, double>>;

std::string tfRecord(std::string_view data);

// Event{wall_time, file_version: "brain.Event:2"}, the first of a file.
std::string fileVersionEvent(double wallTime);
// Event{wall_time, step, session_log: {status: START}}: what is there of this
// step and later ones is void; a run goes on from an earlier point.
std::string restartEvent(double wallTime, int64_t step);
// Event{wall_time, step, summary: {value: [{tag, simple_value}]}}.
std::string scalarsEvent(double wallTime, int64_t step, const Scalars &scalars);

} // namespace tnrt

#endif // TNRT_TRAIN_EVENTRECORD_H
