// Stop strings across token boundaries.
#include "StopMatcher.h"

#include <algorithm>

namespace tnrt {

StopMatcher::StopMatcher(std::vector<std::string> list)
    : stops(std::move(list)) {
  stops.erase(std::remove(stops.begin(), stops.end(), std::string()),
              stops.end());
}

bool StopMatcher::push(std::string_view text, std::string &out) {
  held.append(text);
  size_t first = std::string::npos;
  for (const std::string &stop : stops)
    first = std::min(first, held.find(stop));
  bool matched = first != std::string::npos;
  size_t safe = matched ? first : held.size() - holdLength();
  if (safe > shown)
    out.append(held, shown, safe - shown);
  if (matched) {
    held.clear();
    shown = 0;
    return true;
  }
  held.erase(0, safe);
  shown = shown > safe ? shown - safe : 0;
  return false;
}

// Length of the longest suffix of the text that begins a stop string.
size_t StopMatcher::holdLength() const {
  size_t longest = 0;
  for (const std::string &stop : stops)
    for (size_t length = std::min(stop.size() - 1, held.size());
         length > longest; --length)
      if (held.compare(held.size() - length, length, stop, 0, length) == 0) {
        longest = length;
        break;
      }
  return longest;
}

void StopMatcher::flush(std::string &out) {
  if (held.size() > shown)
    out.append(held, shown, held.size() - shown);
  shown = held.size();
}

void StopMatcher::restoreShown(std::string text) {
  held = std::move(text);
  shown = held.size();
}

} // namespace tnrt
