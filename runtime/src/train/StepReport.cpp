// Formatting of steps.
#include "StepReport.h"

#include <cstdio>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

std::string format(const char *pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string zText(const std::optional<double> &z) {
  return z ? format(" (%+.2fz)", *z) : std::string();
}

// "13,245"
std::string grouped(double value) {
  std::string digits = format("%.0f", value);
  for (size_t at = digits.size(); at > 3; at -= 3)
    digits.insert(at - 3, ",");
  return digits;
}

std::string memoryText(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return value < 1e9 ? format("%.0f MB", value / 1e6)
                     : format("%.1f GB", value / 1e9);
}

const char *fateName(StepReport::Fate fate) {
  switch (fate) {
  case StepReport::Fate::Applied:
    return "";
  case StepReport::Fate::Spike:
    return "spike";
  case StepReport::Fate::Skipped:
    return "spike, skipped";
  case StepReport::Fate::RolledBack:
    return "spike, rolled back";
  case StepReport::Fate::NonFinite:
    return "not finite, skipped";
  }
  return "";
}

Json numberOrNull(const std::optional<double> &value) {
  return value ? Json(*value) : Json(nullptr);
}

} // namespace

std::string StepReport::line() const {
  const std::string all = std::to_string(steps);
  std::string number = std::to_string(step);
  number.insert(0, all.size() > number.size() ? all.size() - number.size() : 0,
                ' ');
  std::string text =
      "step " + number + "/" + all + " | loss " + format("%.4f", loss) +
      zText(lossZ) + " | norm " + format("%.4f", norm) + zText(normZ) +
      " | lr " + format("%.2e", lr) + " | " + format("%.1f ms", seconds * 1e3) +
      " | " + (mfu ? format("%.1f%%", *mfu * 100) : std::string("-")) +
      " MFU | " + grouped(tokensPerSecond) + " tok/s | " +
      memoryText(memoryBytes);
  if (fate != Fate::Applied)
    text += std::string(" | ") + fateName(fate);
  return text;
}

Json StepReport::json() const {
  Json json = {{"step", step},
               {"loss", loss},
               {"loss_z", numberOrNull(lossZ)},
               {"grad_norm", norm},
               {"grad_norm_z", numberOrNull(normZ)},
               {"lr", lr},
               {"ms", seconds * 1e3},
               {"mfu", numberOrNull(mfu)},
               {"tokens_per_s", tokensPerSecond},
               {"memory_bytes", memoryBytes},
               {"tokens", tokens}};
  if (fate != Fate::Applied)
    json["event"] = fateName(fate);
  return json;
}

} // namespace tnrt
