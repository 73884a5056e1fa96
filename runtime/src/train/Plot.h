// Curves of a run as one HTML page or one SVG picture that needs nothing else.
#ifndef TNRT_TRAIN_PLOT_H
#define TNRT_TRAIN_PLOT_H

#include "tnrt/Result.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

struct Point {
  double step = 0, value = 0;
};
using Curve = std::vector<Point>; // by step

// The curves of metrics.jsonl, by the keys of its lines. Of two values of a
// step the later one counts: the run went back and came again. What is not a
// line of it (a torn last one) is left out. Errors: no number at all.
Result<std::map<std::string, Curve>> readCurves(std::string_view jsonl);

// At most 2 * buckets points: the smallest and the largest of each bucket.
Curve thinned(const Curve &curve, size_t buckets);

// Numbers from about `low` to `high` that a person would write, at most `most`.
std::vector<double> axisTicks(double low, double high, int most);

// `title` is that of the page, the run's name.
std::string plotHtml(const std::map<std::string, Curve> &curves,
                     const std::string &title);
std::string plotSvg(const std::map<std::string, Curve> &curves,
                    const std::string &title);

} // namespace tnrt

#endif // TNRT_TRAIN_PLOT_H
