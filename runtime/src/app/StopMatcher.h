// Finds stop strings in text that arrives in pieces.
#ifndef TNRT_APP_STOPMATCHER_H
#define TNRT_APP_STOPMATCHER_H

#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

// Text that might be the beginning of a stop string is held back until more is
// known, so that no part of a stop string is ever shown.
class StopMatcher {
public:
  explicit StopMatcher(std::vector<std::string> stops = {});

  // Appends to `out` what is safe to show; true when a stop string is complete
  // (the earliest one; nothing of it or after it is shown).
  bool push(std::string_view text, std::string &out);
  // Shows what is held back: no more text comes.
  void flush(std::string &out);

  // What has been held back, for a state file. Restored text counts as shown:
  // the run that saved it has flushed it.
  const std::string &heldBack() const { return held; }
  void restoreShown(std::string text);

private:
  size_t holdLength() const;

  std::vector<std::string> stops;
  std::string held;
  size_t shown = 0; // bytes of `held` that have been shown already
};

} // namespace tnrt

#endif // TNRT_APP_STOPMATCHER_H
