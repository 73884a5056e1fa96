// The table of launches.
#include "BenchKernels.h"
#include "Text.h"

#include <algorithm>
#include <cstdio>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

struct Phase {
  const char *name;
  int64_t rows, length;
};

// Of the device's best, in percent; -1 where that is not known.
double share(int64_t amount, double seconds, double best) {
  return amount < 0 || best <= 0 ? -1 : 100 * double(amount) / seconds / best;
}

Json toJson(const KernelTime &time, const StepProfile &profile,
            const Phase &phase) {
  Json json = {{"phase", phase.name},
               {"kernel", time.name},
               {"launches", time.count},
               {"microseconds", time.seconds * 1e6}};
  if (time.tasks > 0) {
    json["tasks"] = time.tasks;
    json["threads"] = time.threads;
  }
  if (time.bytes >= 0) {
    json["bytes"] = time.bytes;
    json["bytes_per_second"] = double(time.bytes) / time.seconds;
  }
  if (time.flops >= 0) {
    json["flops"] = time.flops;
    json["flops_per_second"] = double(time.flops) / time.seconds;
  }
  if (double part = share(time.bytes, time.seconds, profile.copyBytesPerSecond);
      part >= 0)
    json["percent_of_copy"] = part;
  if (double part = share(time.flops, time.seconds, profile.flopsPerSecond);
      part >= 0)
    json["percent_of_products"] = part;
  return json;
}

std::string toLine(const KernelTime &time, const StepProfile &profile,
                   double total) {
  char text[160];
  std::snprintf(text, sizeof text, "%10.2f us %5lld x %5.1f %%  %s",
                time.seconds * 1e6, static_cast<long long>(time.count),
                100 * time.seconds * double(time.count) / total,
                time.name.c_str());
  std::string line = text;
  if (time.tasks > 0)
    line += ", " + std::to_string(time.tasks) + " x " +
            std::to_string(time.threads) + " threads";
  auto addRate = [&](int64_t amount, double best, const std::string &rate) {
    if (amount < 0)
      return;
    line += ", " + rate;
    if (double part = share(amount, time.seconds, best); part >= 0)
      line += " (" + formatNumber(part, 1) + " %)";
  };
  addRate(time.bytes, profile.copyBytesPerSecond,
          formatBytes(double(time.bytes)) + ", " +
              formatBytes(double(time.bytes) / time.seconds) + "/s");
  addRate(time.flops, profile.flopsPerSecond,
          formatNumber(double(time.flops) / time.seconds / 1e12, 3) +
              " TFLOP/s");
  return line;
}

} // namespace

Result<int> benchKernels(Environment &environment, Session &session,
                         const BenchOptions &options) {
  const Manifest::Capacity &capacity = environment.manifest.capacity;
  std::vector<Phase> phases;
  if (options.prompt > 0)
    phases.push_back(
        {"prefill", 1, std::min(options.prompt, capacity.prefillRows)});
  if (options.gen > 0)
    phases.push_back(
        {"decode", std::min(options.batch, capacity.decodeRows), 1});
  Json list = Json::array();
  for (const Phase &phase : phases) {
    auto times = session.profile(phase.rows, phase.length, options.repeat);
    if (!times)
      return times.takeError();
    double total = 0;
    for (const KernelTime &time : times->kernels)
      total += time.seconds * double(time.count);
    if (options.json) {
      for (const KernelTime &time : times->kernels)
        list.push_back(toJson(time, *times, phase));
      continue;
    }
    environment.out.write(
        std::string(phase.name) + " of " + std::to_string(phase.rows) + " x " +
        std::to_string(phase.length) +
        " tokens, head included: " + formatNumber(total * 1e6, 1) + " us\n");
    std::sort(times->kernels.begin(), times->kernels.end(),
              [](const KernelTime &a, const KernelTime &b) {
                return a.seconds * double(a.count) >
                       b.seconds * double(b.count);
              });
    for (const KernelTime &time : times->kernels)
      environment.out.write(toLine(time, *times, total) + "\n");
    if (times->copyBytesPerSecond > 0)
      environment.out.write(
          "measured beside them (100 %): a copy " +
          formatBytes(times->copyBytesPerSecond) + "/s, products of bf16 " +
          formatNumber(times->flopsPerSecond / 1e12, 1) + " TFLOP/s\n");
  }
  if (options.json)
    environment.out.write(dumpJson(list, 2) + "\n");
  return int(kOk);
}

} // namespace tnrt
