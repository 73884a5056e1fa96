// Words for messages.
#ifndef TNRT_FORMATS_TEXT_H
#define TNRT_FORMATS_TEXT_H

#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

// 'name', with control characters escaped and a long tail cut, so that what a
// hostile file says still gives one readable line.
std::string quote(std::string_view text);

// "a, b, c"
std::string joined(const std::vector<std::string> &items);

} // namespace tnrt

#endif // TNRT_FORMATS_TEXT_H
