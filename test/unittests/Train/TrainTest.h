// A folder, a shard of a text that can be learnt, and the bigram trainer's
// backend, which a test may interfere with.
#ifndef TNRT_TEST_TRAINTEST_H
#define TNRT_TEST_TRAINTEST_H

#include "BigramTrainer.h"
#include "Runtime/TestFiles.h"

#include "train/CreateBackend.h"
#include "train/TokenShard.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

namespace tnrt::test {

// Words in an order that repeats itself: a bigram model learns a part of it.
inline std::string learnableText(size_t bytes) {
  const char *const words[] = {"once ",  "upon ", "a ",   "time ",
                               "there ", "was ",  "one ", "more. "};
  std::string text;
  for (uint32_t i = 1; text.size() < bytes; i = i * 1664525 + 1013904223)
    text += words[i >> 29];
  text.resize(bytes);
  return text;
}

inline void writeTextShard(const std::string &path, const std::string &text,
                           int64_t vocabulary = 256) {
  auto writer = ShardWriter::create(path, vocabulary, 0);
  ASSERT_TRUE(writer) << writer.message();
  ASSERT_TRUE(writer->add(std::vector<int32_t>(text.begin(), text.end())));
  ASSERT_TRUE(writer->commit());
}

inline std::unique_ptr<TrainBackend> openBigram() {
  static const std::string text = fake::bigramManifest();
  static const tnrt_module module = fake::makeBigramTrainer(text);
  static const Manifest manifest = [] {
    auto parsed = Manifest::parse(text);
    if (!parsed)
      std::abort();
    return std::move(*parsed);
  }();
  LoadOptions options;
  options.threads = 2;
  options.progress = false;
  auto backend = createTrainBackend(module, manifest, options);
  EXPECT_TRUE(backend) << backend.message();
  return backend ? std::move(*backend) : nullptr;
}

// Passes everything on, but shows losses and norms through `tamper`.
class TamperedBackend : public TrainBackend {
public:
  TamperedBackend() : inner(openBigram()) {}

  const std::vector<TrainParameter> &parameters() const override {
    return inner->parameters();
  }
  int64_t flatElements() const override { return inner->flatElements(); }
  int64_t maxTokens() const override { return inner->maxTokens(); }
  TrainMemory memory() const override { return inner->memory(); }
  int threads() const override { return inner->threads(); }
  Result<FloatSpan> view(TrainBuffer buffer) override {
    return inner->view(buffer);
  }
  Status commit(TrainBuffer buffer) override { return inner->commit(buffer); }
  Result<TrainLoss> accumulate(const TrainBatch &batch, double scale) override {
    ++calls;
    sequences += batch.batch;
    auto loss = inner->accumulate(batch, scale);
    if (loss && tamperLoss)
      loss->sum = tamperLoss(batch, loss->sum);
    return loss;
  }
  Result<TrainLoss> evaluate(const TrainBatch &batch) override {
    return inner->evaluate(batch);
  }
  Status zeroGradients() override { return inner->zeroGradients(); }
  Result<double> gradientNorm() override {
    auto norm = inner->gradientNorm();
    if (norm && tamperNorm)
      return tamperNorm(*norm);
    return norm;
  }
  Status adamw(const AdamWUpdate &update) override {
    updates.push_back(update);
    return inner->adamw(update);
  }

  std::function<double(const TrainBatch &, double)> tamperLoss;
  std::function<double(double)> tamperNorm;
  std::vector<AdamWUpdate> updates;
  int64_t calls = 0, sequences = 0;

private:
  std::unique_ptr<TrainBackend> inner;
};

inline std::vector<float> copyOf(TrainBackend &backend, TrainBuffer buffer) {
  auto view = backend.view(buffer);
  EXPECT_TRUE(view);
  return {view->data, view->data + view->size};
}

} // namespace tnrt::test

#endif // TNRT_TEST_TRAINTEST_H
