// The progress bar.
#include "Progress.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace tnrt {

namespace {

constexpr int64_t firstDrawMs = 200;
constexpr int64_t drawEveryMs = 100;
constexpr int barWidth = 20;

std::string amountText(int64_t done, int64_t total, Progress::Unit unit) {
  char text[64];
  if (unit == Progress::Unit::Items)
    std::snprintf(text, sizeof text, "%lld of %lld",
                  static_cast<long long>(done), static_cast<long long>(total));
  else if (total < 1'000'000'000)
    std::snprintf(text, sizeof text, "%.0f of %.0f MB", done / 1e6,
                  total / 1e6);
  else
    std::snprintf(text, sizeof text, "%.1f of %.1f GB", done / 1e9,
                  total / 1e9);
  return text;
}

std::string timeText(double seconds) {
  char text[32];
  if (seconds < 60)
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  else
    std::snprintf(text, sizeof text, "%.0f min %02d s", seconds / 60 - 0.5,
                  static_cast<int>(seconds) % 60);
  return text;
}

} // namespace

Progress::Progress(std::string label, int64_t total, Unit unit, bool enabled)
    : label(std::move(label)), total(std::max<int64_t>(total, 1)), unit(unit),
      visible(enabled && ::isatty(STDERR_FILENO)),
      start(std::chrono::steady_clock::now()), nextDraw(firstDrawMs) {}

Progress::~Progress() { finish(); }

void Progress::advance(int64_t amount) {
  done.fetch_add(amount, std::memory_order_relaxed);
  if (!visible)
    return;
  const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::steady_clock::now() - start)
                          .count();
  int64_t due = nextDraw.load(std::memory_order_relaxed);
  // One thread draws; the others go on working.
  if (now >= due && nextDraw.compare_exchange_strong(due, now + drawEveryMs))
    draw();
}

void Progress::draw() {
  std::lock_guard<std::mutex> lock(mutex);
  if (!visible)
    return;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  std::fprintf(stderr, "\r\033[K%s", line(done.load(), seconds).c_str());
  std::fflush(stderr);
  drawn = true;
}

void Progress::erase() {
  if (drawn)
    std::fputs("\r\033[K", stderr);
  drawn = false;
}

void Progress::clear() {
  std::lock_guard<std::mutex> lock(mutex);
  erase();
}

void Progress::finish() {
  std::lock_guard<std::mutex> lock(mutex);
  erase();
  visible = false;
}

std::string Progress::line(int64_t done, double seconds) const {
  const double part =
      std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const int filled = static_cast<int>(part * barWidth);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < barWidth)
    bar += '>';
  bar.resize(barWidth, ' ');
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3d%%", static_cast<int>(part * 100));
  std::string text = label + "  [" + bar + "] " + percent + "  " +
                     amountText(done, total, unit);
  if (part > 0 && part < 1)
    text += ", " + timeText(seconds * (1 - part) / part) + " left";
  return text;
}

} // namespace tnrt
