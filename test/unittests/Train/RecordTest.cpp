// What a run records: schedules, scores, checksums, event files, lines, curves.
#include "train/Crc32c.h"
#include "train/EventRecord.h"
#include "train/Flops.h"
#include "train/LittleEndian.h"
#include "train/Metrics.h"
#include "train/Monitor.h"
#include "train/Plot.h"
#include "train/Schedule.h"
#include "train/StepReport.h"

#include "Runtime/TestFiles.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace tnrt::test {
namespace {

using Json = nlohmann::ordered_json;

TEST(Schedule, FollowsItsFormulas) {
  Schedule s;
  s.peak = 1;
  s.floor = 0.1;
  s.warmup = 10;
  s.steps = 110;
  s.decay = 20;
  for (auto kind : {Schedule::Kind::Cosine, Schedule::Kind::Linear,
                    Schedule::Kind::Wsd, Schedule::Kind::Constant}) {
    s.kind = kind;
    EXPECT_DOUBLE_EQ(s.at(0), 0.1); // the first step is not lost
    EXPECT_DOUBLE_EQ(s.at(4), 0.5);
    EXPECT_DOUBLE_EQ(s.at(9), 1);
    EXPECT_DOUBLE_EQ(s.at(10), 1);
    EXPECT_EQ(parseSchedule(scheduleName(kind)), kind);
  }
  EXPECT_FALSE(parseSchedule("square"));
  s.kind = Schedule::Kind::Cosine;
  EXPECT_NEAR(s.at(60), 0.55, 1e-12);
  EXPECT_NEAR(s.at(35), 0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2, 1e-12);
  EXPECT_NEAR(s.at(110), 0.1, 1e-12);
  EXPECT_NEAR(s.at(5000), 0.1, 1e-12);
  s.kind = Schedule::Kind::Linear;
  EXPECT_NEAR(s.at(60), 0.55, 1e-12);
  s.kind = Schedule::Kind::Wsd;
  EXPECT_DOUBLE_EQ(s.at(89), 1);
  EXPECT_DOUBLE_EQ(s.at(90), 1);
  EXPECT_NEAR(s.at(100), 0.55, 1e-12);
  s.kind = Schedule::Kind::Constant;
  EXPECT_DOUBLE_EQ(s.at(100), 1);
}

TEST(Schedule, MayBeAllWarmupOrNone) {
  Schedule s;
  s.peak = 1;
  s.warmup = s.steps = 4;
  EXPECT_DOUBLE_EQ(s.at(3), 1);
  EXPECT_DOUBLE_EQ(s.at(4), 0);
  s.warmup = 0;
  EXPECT_DOUBLE_EQ(s.at(0), 1);
}

TEST(Monitor, ScoresAgainstTheLastValues) {
  Monitor monitor;
  for (size_t i = 0; i < Monitor::kFew; ++i)
    EXPECT_FALSE(monitor.score(i % 2 ? 1 : 3));
  // Mean 2, deviation sqrt(16 / 15).
  auto z = monitor.score(5);
  ASSERT_TRUE(z);
  EXPECT_NEAR(*z, 3 / std::sqrt(16.0 / 15), 1e-12);
  // A window: after as many equal values nothing else is left.
  for (size_t i = 0; i < Monitor::kWindow; ++i)
    (void)monitor.score(2);
  EXPECT_EQ(monitor.values().size(), Monitor::kWindow);
  EXPECT_EQ(monitor.score(2), 0.0);
  EXPECT_FALSE(monitor.score(2.5)); // no deviation to compare with
}

TEST(Monitor, GoesOnWhereItWasSaved) {
  Monitor one, two;
  for (int i = 0; i < 300; ++i)
    (void)one.score(std::sin(i) * 0.1);
  two.restore(one.values());
  EXPECT_EQ(one.score(0.3), two.score(0.3));
}

TEST(Crc32c, HasTheKnownValues) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);
  EXPECT_EQ(crc32c("", 0), 0u);
  const std::string zeros(32, '\0'); // RFC 3720
  EXPECT_EQ(crc32c(zeros.data(), 32), 0x8A9136AAu);
  // In pieces, of any alignment.
  const std::string text = "a text that is longer than a few words of 8 bytes";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(
        crc32c(text.data() + cut, text.size() - cut, crc32c(text.data(), cut)),
        crc32c(text.data(), text.size()));
}

// One record: its length, data and both checksums.
std::string onlyRecord(const std::string &bytes) {
  const auto *data = reinterpret_cast<const unsigned char *>(bytes.data());
  const uint64_t length = readU64(data);
  EXPECT_EQ(bytes.size(), length + 16);
  EXPECT_EQ(readU32(data + 8), maskedCrc32c(data, 8));
  EXPECT_EQ(readU32(data + 12 + length), maskedCrc32c(data + 12, length));
  return bytes.substr(12, length);
}

TEST(EventRecord, IsFramedAndMasked) {
  EXPECT_EQ(onlyRecord(tfRecord("abc")), "abc");
  EXPECT_EQ(onlyRecord(tfRecord("")), "");
  const uint32_t crc = 0xE3069283u;
  EXPECT_EQ(maskedCrc32c("123456789", 9),
            (crc >> 15 | crc << 17) + 0xA282EAD8u);
}

// As protoc encodes: {wall_time: 1, step: 300, summary {value {tag: "a"
// simple_value: 0.5}}}.
TEST(EventRecord, IsAProtocolBuffer) {
  const std::string expected("\x09\0\0\0\0\0\0\xf0\x3f" // 1: 1.0
                             "\x10\xac\x02"             // 2: 300
                             "\x2a\x0a"                 // 5: 10 bytes
                             "\x0a\x08"                 //   1: 8 bytes
                             "\x0a\x01"
                             "a"               //     1: "a"
                             "\x15\0\0\0\x3f", // 2: 0.5
                             24);
  EXPECT_EQ(scalarsEvent(1, 300, {{"a", 0.5}}), expected);
  EXPECT_EQ(fileVersionEvent(1), std::string("\x09\0\0\0\0\0\0\xf0\x3f"
                                             "\x1a\x0d"
                                             "brain.Event:2",
                                             24));
  EXPECT_EQ(restartEvent(1, 2), std::string("\x09\0\0\0\0\0\0\xf0\x3f"
                                            "\x10\x02"
                                            "\x3a\x02\x08\x01",
                                            15));
}

TEST(Metrics, GoesOnWhereACheckpointWas) {
  TempDir dir;
  int64_t size = 0;
  {
    auto metrics = Metrics::open(dir.path(), 0, 0);
    ASSERT_TRUE(metrics) << metrics.message();
    ASSERT_TRUE(metrics->write(1, {{"step", 1}, {"loss", 2.5}}));
    size = metrics->size();
    ASSERT_TRUE(metrics->write(2, {{"step", 2}, {"loss", 2.25}}));
    ASSERT_TRUE(metrics->flush());
  }
  EXPECT_EQ(readFile(dir.path("metrics.jsonl")),
            "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":2.25}\n");
  {
    auto metrics = Metrics::open(dir.path(), size, 1);
    ASSERT_TRUE(metrics) << metrics.message();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    ASSERT_TRUE(metrics->write(2, {{"step", 2}, {"loss", nan}}));
  }
  EXPECT_EQ(readFile(dir.path("metrics.jsonl")),
            "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":null}\n");
  // Each start has an event file of its own.
  size_t files = 0;
  for (const auto &entry :
       std::filesystem::directory_iterator(dir.path("events"))) {
    ++files;
    EXPECT_TRUE(contains(entry.path().filename().string(), "tfevents"));
  }
  EXPECT_EQ(files, 2u);
}

TEST(StepReport, IsALineThatPeopleKnow) {
  StepReport report;
  report.step = 12;
  report.steps = 1000;
  report.loss = 2.34567;
  report.norm = 0.8125;
  report.lossZ = 0.123;
  report.normZ = -0.31;
  report.lr = 3e-4;
  report.seconds = 0.12345;
  report.tokensPerSecond = 1234567;
  report.mfu = 0.412;
  report.memoryBytes = 412000000;
  EXPECT_EQ(report.line(),
            "step   12/1000 | loss 2.3457 (+0.12z) | norm 0.8125 (-0.31z) | lr "
            "3.00e-04 | 123.5 ms | 41.2% MFU | 1,234,567 tok/s | 412 MB");
  report.lossZ = report.normZ = report.mfu = std::nullopt;
  report.tokensPerSecond = 999;
  report.memoryBytes = 2500000000;
  report.fate = StepReport::Fate::NonFinite;
  report.loss = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(report.line(), "step   12/1000 | loss nan | norm 0.8125 | lr "
                           "3.00e-04 | 123.5 ms | - MFU | 999 tok/s | 2.5 GB | "
                           "not finite, skipped");
  Json json = Json::parse(report.json().dump());
  EXPECT_TRUE(json["loss"].is_null());
  EXPECT_EQ(json["event"], "not finite, skipped");
  EXPECT_EQ(json["step"], 12);
}

// examples/tiny in two layers, the first with LRPE.
TEST(Flops, CountMatricesAndAttention) {
  std::vector<TrainParameter> parameters;
  auto add = [&](const char *name, std::vector<int64_t> shape) {
    TrainParameter parameter;
    parameter.name = name;
    parameter.elements = *elementCount(shape);
    parameter.shape = std::move(shape);
    parameters.push_back(parameter);
  };
  add("model.embed_tokens.weight", {256, 128});
  add("model.layers.0.token_mixer.qkvu_proj.weight", {512, 128});
  add("model.layers.0.token_mixer.lrpe.theta", {4, 1, 32});
  add("bias", {128});
  const Json model = {{"decoder_layers", 2},
                      {"hidden_dim", 128},
                      {"decoder_attention_heads", 4},
                      {"linear_use_lrpe_list", {1, 0}}};
  const double attention = 12 * 3 * 4096; // 3 times 4 heads of 32 x 32
  // The embedding is the head too.
  EXPECT_EQ(trainingFlopsPerToken(parameters, model, 100),
            6 * (256 * 128 + 512 * 128) + attention);
  add("lm_head.weight", {256, 128});
  EXPECT_EQ(trainingFlopsPerToken(parameters, model, 100),
            6 * (256 * 128 + 512 * 128) + attention);
  EXPECT_EQ(trainingFlopsPerToken(parameters, Json::object(), 100),
            6 * (256 * 128 + 512 * 128));
}

// Softmax attention grows with the length, in blocks up to the block.
TEST(Flops, CountKeysOfSoftmaxAttention) {
  TrainParameter positions;
  positions.name = "model.embed_positions.weight"; // looked up
  positions.elements = 64 * 128;
  positions.shape = {64, 128};
  Json model = {{"decoder_layers", 1},
                {"hidden_dim", 128},
                {"decoder_attention_heads", 4},
                {"attention", "softmax"},
                {"attention_block", 16}};
  // 6 for each multiplication, 4 heads of keys and values of 32.
  const double ofKey = 6 * 4 * (32 + 32);
  EXPECT_EQ(trainingFlopsPerToken({positions}, model, 1), ofKey);
  EXPECT_EQ(trainingFlopsPerToken({positions}, model, 63), ofKey * 32);
  model["attention"] = {"diag"};
  EXPECT_EQ(trainingFlopsPerToken({}, model, 64), ofKey * 17 / 2);
  // 16 positions with 8.5 keys each, 4 with 2.5.
  EXPECT_DOUBLE_EQ(trainingFlopsPerToken({}, model, 20), ofKey * 146 / 20);
  model["linear_use_lrpe_list"] = {1};
  EXPECT_EQ(trainingFlopsPerToken({}, model, 1), 6 * 4 * (64 + 32));
}

TEST(Flops, ThePeakIsMeasured) { EXPECT_GT(measurePeakFlops(2), 0); }

TEST(Flops, ThePeakOfAGPUIsStated) {
  EXPECT_EQ(statedPeakFlops("NVIDIA H100 80GB HBM3", true), 989e12);
  EXPECT_EQ(statedPeakFlops("NVIDIA H100 80GB HBM3", false), 67e12);
  EXPECT_EQ(statedPeakFlops("NVIDIA H100 PCIe", true), 756e12);
  EXPECT_EQ(statedPeakFlops("NVIDIA A100-SXM4-40GB", false), 19.5e12);
  EXPECT_EQ(statedPeakFlops("NVIDIA A3000", true), 0);
  EXPECT_EQ(statedPeakFlops("Fake H1000x", true), 0);
}

TEST(Plot, ReadsCurvesAndForgetsStepsThatCameAgain) {
  auto curves = readCurves("{\"step\":1,\"loss\":3,\"mfu\":null}\n"
                           "{\"step\":2,\"loss\":9}\n"
                           "{\"step\":2,\"loss\":2}\n"
                           "{\"step\":2,\"val_loss\":2.5}\n"
                           "not a line\n"
                           "{\"step\":3,\"lo");
  ASSERT_TRUE(curves) << curves.message();
  EXPECT_EQ(curves->size(), 2u);
  ASSERT_EQ((*curves)["loss"].size(), 2u);
  EXPECT_EQ((*curves)["loss"][1].value, 2);
  EXPECT_FALSE(readCurves(""));
  EXPECT_FALSE(readCurves("{}\n[]\n"));
}

TEST(Plot, ThinsToWhatCanBeSeen) {
  Curve curve;
  for (int i = 0; i < 10000; ++i)
    curve.push_back({double(i), i == 5000 ? 50.0 : 1.0});
  Curve thin = thinned(curve, 100);
  EXPECT_LE(thin.size(), 200u);
  double highest = 0, last = -1;
  for (const Point &point : thin) {
    EXPECT_GT(point.step, last); // in order
    last = point.step;
    highest = std::max(highest, point.value);
  }
  EXPECT_EQ(highest, 50); // a spike is never lost
  EXPECT_EQ(thinned(thin, 100).size(), thin.size());
}

TEST(Plot, TicksAreRoundNumbers) {
  EXPECT_EQ(axisTicks(0, 10, 6), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axisTicks(130, 970, 6), (std::vector<double>{200, 400, 600, 800}));
  for (auto [low, high] : {std::pair(1e-9, 2e-9), std::pair(-3.0, 1e7)}) {
    const std::vector<double> ticks = axisTicks(low, high, 6);
    EXPECT_GE(ticks.size(), 2u);
    EXPECT_LE(ticks.size(), 7u);
  }
  EXPECT_EQ(axisTicks(1, 1, 6).size(), 1u);
  // Numbers so large that adding one changes nothing.
  EXPECT_LE(axisTicks(1e20, 1e20 + 32768, 9).size(), 10u);
  EXPECT_LE(axisTicks(-1e300, 1e300, 9).size(), 10u);
}

TEST(Plot, IsOnePageThatNeedsNothingElse) {
  std::map<std::string, Curve> curves;
  curves["loss"] = {{1, 3}, {2, 2.5}, {3, 2}};
  curves["val_loss"] = {{3, 2.25}};
  const std::string svg = plotSvg(curves, "a <run> & more");
  EXPECT_TRUE(contains(svg, "a &lt;run&gt; &amp; more"));
  EXPECT_TRUE(contains(svg, "<polyline"));
  EXPECT_TRUE(contains(svg, "<circle")); // a curve of one point
  EXPECT_TRUE(contains(svg, "validation 2.25"));
  EXPECT_EQ(svg.find("learning rate"), std::string::npos); // no such curve
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  const std::string html = plotHtml(curves, "run");
  EXPECT_TRUE(contains(html, "<!DOCTYPE html>"));
  for (const char *outside : {"href=", "src=", "<script", "@import"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
}

} // namespace
} // namespace tnrt::test
