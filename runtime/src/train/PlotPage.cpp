// The picture: one panel for each group of curves.
#include "Plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tnrt {
namespace {

struct Series {
  const char *key, *label, *colour;
};
struct Panel {
  const char *title;
  std::vector<Series> series;
};

const std::vector<Panel> &allPanels() {
  static const std::vector<Panel> panels = {
      {"loss",
       {{"loss", "training", "#1f6fb4"},
        {"val_loss", "validation", "#d1495b"}}},
      {"norm of the gradients", {{"grad_norm", "norm", "#1f6fb4"}}},
      {"learning rate", {{"lr", "learning rate", "#1f6fb4"}}},
      {"tokens per second",
       {{"tokens_per_s", "tokens per second", "#1f6fb4"}}}};
  return panels;
}

constexpr double kWidth = 860, kHeight = 260;
constexpr double kLeft = 80, kRight = 20, kTop = 34, kBottom = 30;
constexpr size_t kBuckets = 600; // more than there are pixels to tell apart

std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text) {
    const char *entity = c == '&'   ? "&amp;"
                         : c == '<' ? "&lt;"
                         : c == '>' ? "&gt;"
                         : c == '"' ? "&quot;"
                                    : nullptr;
    if (entity)
      out += entity;
    else
      out += c;
  }
  return out;
}

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string tickText(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value == 0 ? 0.0 : value);
  return text;
}

// Linear map of values to pixels.
struct Axis {
  double low, high, from, to;
  double operator()(double value) const {
    return from + (value - low) / (high - low) * (to - from);
  }
};

struct Range {
  double low = INFINITY, high = -INFINITY;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // Never empty, so that there is something to divide by.
  void widen(double part) {
    double extra = (high - low) * part;
    if (!(high > low))
      extra = std::max(std::abs(high) * 0.1, 1e-12);
    low -= extra;
    high += extra;
  }
};

std::string textAt(double x, double y, const char *anchor,
                   const std::string &text, const char *more = "") {
  return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) +
         "\" text-anchor=\"" + anchor + "\"" + more + ">" + escaped(text) +
         "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2,
                 const char *colour) {
  return "<line x1=\"" + fixed(x1, 1) + "\" y1=\"" + fixed(y1, 1) + "\" x2=\"" +
         fixed(x2, 1) + "\" y2=\"" + fixed(y2, 1) + "\" stroke=\"" + colour +
         "\"/>\n";
}

std::string gridOf(const Axis &x, const Axis &y) {
  std::string out;
  for (double tick : axisTicks(x.low, x.high, 9)) {
    out += line(x(tick), y.to, x(tick), y.from, "#e6e6e6");
    out += textAt(x(tick), y.from + 16, "middle", tickText(tick));
  }
  for (double tick : axisTicks(y.low, y.high, 6)) {
    out += line(x.from, y(tick), x.to, y(tick), "#e6e6e6");
    out += textAt(x.from - 6, y(tick) + 4, "end", tickText(tick));
  }
  return out;
}

std::string polyline(const Curve &curve, const Axis &x, const Axis &y,
                     const char *colour) {
  std::string out = "<polyline fill=\"none\" stroke-width=\"1.4\" stroke=\"";
  out += colour;
  out += "\" points=\"";
  for (const Point &point : thinned(curve, kBuckets))
    out += fixed(x(point.step), 1) + "," + fixed(y(point.value), 1) + " ";
  out += "\"/>\n";
  if (curve.size() == 1)
    out += "<circle r=\"2.5\" cx=\"" + fixed(x(curve[0].step), 1) + "\" cy=\"" +
           fixed(y(curve[0].value), 1) + "\" fill=\"" + colour + "\"/>\n";
  return out;
}

// One panel whose upper edge is at `top`; empty where it has no curve.
std::string panelSvg(const Panel &panel,
                     const std::map<std::string, Curve> &curves, double top) {
  Range steps, values;
  for (const Series &series : panel.series)
    if (auto it = curves.find(series.key); it != curves.end())
      for (const Point &point : it->second) {
        steps.add(point.step);
        values.add(point.value);
      }
  if (!(steps.low <= steps.high))
    return {};
  if (steps.low == steps.high)
    steps.widen(0);
  values.widen(0.05);
  const Axis x{steps.low, steps.high, kLeft, kWidth - kRight};
  const Axis y{values.low, values.high, top + kHeight - kBottom, top + kTop};
  std::string out = gridOf(x, y);
  out += textAt(kLeft, top + 20, "start", panel.title, " font-weight=\"bold\"");
  double legend = kWidth - kRight;
  for (auto series = panel.series.rbegin(); series != panel.series.rend();
       ++series) {
    auto it = curves.find(series->key);
    if (it == curves.end() || it->second.empty())
      continue;
    out += polyline(it->second, x, y, series->colour);
    const std::string label =
        std::string(series->label) + " " + tickText(it->second.back().value);
    out += textAt(legend, top + 20, "end", label,
                  (std::string(" fill=\"") + series->colour + "\"").c_str());
    legend -= 8.0 * static_cast<double>(label.size()) + 16;
  }
  return out;
}

} // namespace

std::string plotSvg(const std::map<std::string, Curve> &curves,
                    const std::string &title) {
  std::string panels;
  double top = 36;
  for (const Panel &panel : allPanels()) {
    std::string svg = panelSvg(panel, curves, top);
    if (svg.empty())
      continue;
    panels += svg;
    top += kHeight;
  }
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " +
         fixed(kWidth, 0) + " " + fixed(top, 0) +
         "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n"
         "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n" +
         textAt(kLeft, 24, "start", title, " font-size=\"16\"") + panels +
         "</svg>\n";
}

std::string plotHtml(const std::map<std::string, Curve> &curves,
                     const std::string &title) {
  std::string rows;
  for (const auto &[key, curve] : curves)
    rows += "<tr><td>" + escaped(key) + "</td><td>" +
            tickText(curve.back().value) + "</td><td>" +
            fixed(curve.back().step, 0) + "</td></tr>\n";
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<title>" +
         escaped(title) +
         "</title>\n<style>body{font-family:sans-serif;max-width:900px;margin:"
         "2em auto;color:#333}td{padding:2px 1em 2px 0}svg{width:100%}"
         "</style></head><body>\n" +
         plotSvg(curves, title) +
         "<table><tr><td><b>last value of</b></td><td></td><td>at step</td>"
         "</tr>\n" +
         rows + "</table>\n</body></html>\n";
}

} // namespace tnrt
