// Sessions on the fake module: any split of the same tokens gives the same
// bits.
#include "core/Session.h"
#include "core/PackedSteps.h"

#include "FakeModule.h"
#include "TestFiles.h"

#include <cstring>
#include <random>

using namespace tnrt;
using namespace tnrt::test;

namespace {

struct Outcome {
  std::vector<float> hidden; // [batch, length, D]
  std::vector<float> states;
  std::vector<int64_t> positions;

  bool operator==(const Outcome &other) const {
    return hidden == other.hidden && states == other.states &&
           positions == other.positions;
  }
};

class SessionTest : public ::testing::Test {
protected:
  void load(const fake::Config &config = {}) {
    Result<std::unique_ptr<Model>> loaded =
        Model::load(fake::makeModule(config), {"", 2, false});
    ASSERT_TRUE(loaded) << loaded.message();
    model = std::move(*loaded);
  }

  std::unique_ptr<Session> makeSession(int64_t batch) {
    Result<std::unique_ptr<Session>> session = Session::create(*model, batch);
    EXPECT_TRUE(session) << session.message();
    return std::move(*session);
  }

  std::vector<int32_t> makeTokens(int64_t count) {
    std::mt19937 random(static_cast<unsigned>(count));
    std::vector<int32_t> tokens(static_cast<size_t>(count));
    for (int32_t &token : tokens)
      token = static_cast<int32_t>(random() % 256);
    return tokens;
  }

  // Feeds tokens [batch, length] in pieces of the given lengths.
  Outcome feed(int64_t batch, int64_t length,
               const std::vector<int32_t> &tokens,
               const std::vector<int64_t> &pieces) {
    const int64_t D = model->manifest().width;
    std::unique_ptr<Session> session = makeSession(batch);
    Outcome outcome;
    outcome.hidden.resize(static_cast<size_t>(batch * length * D));
    int64_t offset = 0;
    for (int64_t piece : pieces) {
      std::vector<int32_t> part;
      for (int64_t b = 0; b < batch; ++b)
        part.insert(part.end(), tokens.begin() + b * length + offset,
                    tokens.begin() + b * length + offset + piece);
      std::vector<float> hidden(static_cast<size_t>(batch * piece * D));
      EXPECT_TRUE(session->forward(part.data(), piece, hidden.data()));
      for (int64_t b = 0; b < batch; ++b)
        std::copy_n(hidden.begin() + b * piece * D, piece * D,
                    outcome.hidden.begin() + (b * length + offset) * D);
      offset += piece;
    }
    EXPECT_EQ(offset, length);
    finish(*session, batch, outcome);
    return outcome;
  }

  void finish(Session &session, int64_t batch, Outcome &outcome) {
    for (int64_t layer = 0; layer < model->manifest().layers; ++layer) {
      std::vector<float> states(
          static_cast<size_t>(batch * session.stateElements(layer)));
      EXPECT_TRUE(session.readStates(layer, states.data()));
      outcome.states.insert(outcome.states.end(), states.begin(), states.end());
    }
    outcome.positions = session.positions();
    EXPECT_FALSE(fake::running().exceeded);
  }

  std::unique_ptr<Model> model;
};

TEST_F(SessionTest, SplitsAreEquivalent) {
  load();
  for (int64_t batch : {1, 2, 3, 5, 9})
    for (int64_t length : {1, 2, 7, 8, 9, 16, 17, 31}) {
      SCOPED_TRACE(std::to_string(batch) + " x " + std::to_string(length));
      const std::vector<int32_t> tokens = makeTokens(batch * length);
      const Outcome single =
          feed(batch, length, tokens,
               std::vector<int64_t>(static_cast<size_t>(length), 1));
      EXPECT_EQ(single.states[0], static_cast<float>(length)) << "tokens seen";
      EXPECT_EQ(single.positions.back(), length);
      EXPECT_TRUE(feed(batch, length, tokens, {length}) == single);
      if (length > 1) {
        EXPECT_TRUE(feed(batch, length, tokens, {1, length - 1}) == single);
        EXPECT_TRUE(feed(batch, length, tokens, {length - 1, 1}) == single);
      }
      if (length > 7)
        EXPECT_TRUE(feed(batch, length, tokens, {7, length - 7}) == single);
    }
}

TEST_F(SessionTest, TinyCapacities) {
  fake::Config config;
  config.prefillRows = config.decodeRows = config.headRows = 1;
  load(config);
  const std::vector<int32_t> tokens = makeTokens(12);
  EXPECT_TRUE(feed(3, 4, tokens, {4}) == feed(3, 4, tokens, {1, 1, 1, 1}));
}

TEST_F(SessionTest, RefusesMorePositionsThanThereAre) {
  fake::Config config;
  config.maxPositions = 10;
  load(config);
  std::unique_ptr<Session> session = makeSession(2);
  const std::vector<int32_t> tokens = makeTokens(2 * 11);
  const std::string message =
      "sequence 0 would have 11 tokens, expected at most 10, the positions of "
      "the model (max_position_embeddings)";
  EXPECT_EQ(session->forward(tokens.data(), 11, nullptr).message(), message);
  EXPECT_EQ(session->positions(), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(fake::running().prefillCalls, 0) << "nothing has run";
  ASSERT_TRUE(session->forwardRow(1, tokens.data(), 10, nullptr));
  ASSERT_TRUE(session->forwardRow(0, tokens.data(), 3, nullptr));
  // One of the sequences is full.
  EXPECT_EQ(session->decode(tokens.data()).message(),
            "sequence 1 would have 11 tokens, expected at most 10, the "
            "positions of the model (max_position_embeddings)");
  EXPECT_EQ(session->positions(), (std::vector<int64_t>{3, 10}));
  ASSERT_TRUE(session->forwardRow(0, tokens.data(), 7, nullptr));
  ASSERT_TRUE(session->reset());
  EXPECT_TRUE(session->forward(tokens.data(), 10, nullptr));
}

TEST_F(SessionTest, UsesTheCompiledCapacity) {
  load();
  std::unique_ptr<Session> session = makeSession(5);
  const std::vector<int32_t> tokens = makeTokens(5 * 17);
  ASSERT_TRUE(session->forward(tokens.data(), 1, nullptr));
  EXPECT_EQ(fake::running().decodeCalls, 2) << "5 sequences, 3 at a time";
  EXPECT_EQ(fake::running().prefillCalls, 0);
  ASSERT_TRUE(session->forward(tokens.data(), 4, nullptr));
  EXPECT_EQ(fake::running().prefillCalls, 3) << "8 rows hold 2 sequences of 4";
  ASSERT_TRUE(session->forward(tokens.data(), 16, nullptr));
  EXPECT_EQ(fake::running().prefillCalls, 13) << "2 slabs a sequence";
  ASSERT_TRUE(session->forward(tokens.data(), 17, nullptr));
  EXPECT_EQ(fake::running().prefillCalls, 23);
  EXPECT_EQ(fake::running().decodeCalls, 4) << "the rests go together";
  std::vector<float> hidden(7 * 16), logits(7 * 256);
  ASSERT_TRUE(session->logits(hidden.data(), 7, logits.data()));
  EXPECT_EQ(fake::running().headCalls, 2);
}

TEST_F(SessionTest, RowsAlone) {
  load();
  const int64_t lengths[] = {3, 20, 1};
  const std::vector<int32_t> tokens = makeTokens(20);
  std::unique_ptr<Session> session = makeSession(3);
  for (int64_t row = 0; row < 3; ++row) {
    std::vector<float> hidden(static_cast<size_t>(lengths[row] * 16));
    ASSERT_TRUE(
        session->forwardRow(row, tokens.data(), lengths[row], hidden.data()));
    const Outcome alone = feed(1, lengths[row], tokens, {lengths[row]});
    EXPECT_EQ(hidden, alone.hidden);
    for (int64_t layer = 0; layer < 2; ++layer) {
      float state[12];
      ASSERT_TRUE(session->readState(layer, row, state));
      EXPECT_EQ(std::memcmp(state, alone.states.data() + layer * 12, 48), 0);
    }
  }
  EXPECT_EQ(session->positions(), (std::vector<int64_t>{3, 20, 1}));
  // Ragged positions go on together.
  const int32_t next[] = {1, 2, 3};
  ASSERT_TRUE(session->forward(next, 1, nullptr));
  EXPECT_EQ(session->positions(), (std::vector<int64_t>{4, 21, 2}));
}

// Packed sequences give what each gives alone, whatever is cut where.
TEST_F(SessionTest, PackedSequences) {
  const std::vector<std::vector<int64_t>> cases = {
      {3, 20, 1},          {8, 8, 8}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
      {0, 5, 0, 0, 30, 0}, {17},      {0, 1},
      {7, 0, 2, 9}};
  for (const std::vector<int64_t> &lengths : cases)
    for (bool inProgram : {true, false}) {
      load();
      if (!inProgram)
        fake::running().module.packed = nullptr;
      const auto batch = static_cast<int64_t>(lengths.size());
      int64_t total = 0;
      for (int64_t length : lengths)
        total += length;
      const std::vector<int32_t> tokens = makeTokens(total);
      std::unique_ptr<Session> session = makeSession(batch);
      EXPECT_EQ(session->canPack(), inProgram);
      std::vector<float> hidden(static_cast<size_t>(total * 16)),
          seen(hidden.size(), -1);
      // Twice, so that states and positions go on.
      for (int time = 0; time < 2; ++time)
        ASSERT_TRUE(session->forwardPacked(
            tokens.data(), lengths.data(), hidden.data(),
            [&](int64_t, const float *data, int64_t row, int64_t offset,
                int64_t rows, int64_t length, int64_t columns) {
              EXPECT_EQ(row, 0);
              EXPECT_EQ(rows, 1);
              std::copy_n(data, length * columns,
                          seen.begin() + offset * columns);
            }));
      EXPECT_EQ(seen, hidden);
      EXPECT_EQ(fake::running().packedCalls > 0, inProgram);
      EXPECT_FALSE(fake::running().exceeded);
      std::unique_ptr<Session> alone = makeSession(batch);
      int64_t begin = 0;
      for (int64_t row = 0; row < batch; ++row) {
        const int64_t length = lengths[static_cast<size_t>(row)];
        std::vector<float> expected(static_cast<size_t>(length * 16));
        for (int time = 0; time < 2 && length > 0; ++time)
          ASSERT_TRUE(alone->forwardRow(row, tokens.data() + begin, length,
                                        expected.data()));
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(),
                               hidden.begin() + begin * 16));
        begin += length;
      }
      EXPECT_EQ(session->positions(), alone->positions());
      for (int64_t layer = 0; layer < 2; ++layer) {
        std::vector<float> ours(static_cast<size_t>(batch * 12)), theirs = ours;
        ASSERT_TRUE(session->readStates(layer, ours.data()));
        ASSERT_TRUE(alone->readStates(layer, theirs.data()));
        EXPECT_EQ(ours, theirs);
      }
    }
}

// As few steps as the tokens need.
TEST_F(SessionTest, PackedStepsAreFull) {
  load();
  std::unique_ptr<Session> session = makeSession(5);
  const int64_t lengths[] = {3, 2, 6, 1, 4}; // 8 tokens a step
  const std::vector<int32_t> tokens = makeTokens(16);
  ASSERT_TRUE(session->forwardPacked(tokens.data(), lengths, nullptr));
  EXPECT_EQ(fake::running().packedCalls, 2);
  EXPECT_EQ(fake::running().prefillCalls, 0);
}

// Long sequences are cut where chunks of 64 tokens end, so that what is beside
// them decides no bit.
TEST(PackedStepsTest, CutsAtChunks) {
  PackedSteps steps({100, 300, 0, 70}, 256);
  const std::vector<std::vector<int64_t>> counts = {{100, 128, 0, 0},
                                                    {0, 172, 0, 70}};
  const std::vector<int64_t> begins = {0, 228};
  for (size_t i = 0; i < counts.size(); ++i) {
    ASSERT_TRUE(steps.next());
    EXPECT_EQ(steps.begin(), begins[i]);
    EXPECT_EQ(steps.counts(), counts[i]);
  }
  EXPECT_TRUE(steps.endsHere(1));
  EXPECT_FALSE(steps.endsHere(2)) << "it has no tokens";
  EXPECT_FALSE(steps.next());
}

TEST_F(SessionTest, PackedLogitsAndErrors) {
  load();
  std::unique_ptr<Session> session = makeSession(3);
  const int64_t lengths[] = {5, 0, 9};
  std::vector<int32_t> tokens = makeTokens(14);
  Result<float *> logits =
      session->forwardPackedToLogits(tokens.data(), lengths);
  ASSERT_TRUE(logits) << logits.message();
  const std::vector<float> ours(*logits, *logits + 3 * 256);
  std::unique_ptr<Session> alone = makeSession(3);
  for (int64_t row : {0, 2}) {
    Result<float *> expected = alone->forwardRowToLogits(
        row, tokens.data() + (row == 0 ? 0 : 5), lengths[row]);
    ASSERT_TRUE(expected) << expected.message();
    EXPECT_TRUE(
        std::equal(*expected, *expected + 256, ours.begin() + row * 256));
  }
  tokens[5 + 3] = 256;
  EXPECT_EQ(session->forwardPacked(tokens.data(), lengths, nullptr).message(),
            "token 256 at index 3 of sequence 2, expected 0 to 255");
  const int64_t none[] = {0, 0, 0}, negative[] = {1, -1, 0};
  EXPECT_EQ(session->forwardPacked(tokens.data(), none, nullptr).message(),
            "the sequences have no tokens, expected at least one");
  EXPECT_EQ(session->forwardPacked(tokens.data(), negative, nullptr).message(),
            "sequence 1 has -1 tokens, expected 0 or more");
}

TEST_F(SessionTest, ObserverSeesEveryTokenOnce) {
  load();
  const int64_t batch = 5, length = 19, D = 16;
  const std::vector<int32_t> tokens = makeTokens(batch * length);
  std::unique_ptr<Session> session = makeSession(batch);
  std::vector<float> hidden(batch * length * D), seen(batch * length * D, -1);
  std::vector<int> count(batch * length, 0);
  ASSERT_TRUE(session->forward(
      tokens.data(), length, hidden.data(),
      [&](int64_t probe, const float *data, int64_t row, int64_t offset,
          int64_t rows, int64_t stepLength, int64_t columns) {
        ASSERT_EQ(probe, 0);
        ASSERT_EQ(columns, D);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t t = 0; t < stepLength; ++t) {
            const int64_t at = (row + r) * length + offset + t;
            ++count[size_t(at)];
            std::copy_n(data + (r * stepLength + t) * D, D,
                        seen.begin() + at * D);
          }
      }));
  for (int times : count)
    EXPECT_EQ(times, 1);
  EXPECT_EQ(seen, hidden);
}

TEST_F(SessionTest, Errors) {
  load();
  std::unique_ptr<Session> session = makeSession(2);
  const std::vector<int32_t> tokens{1, 2, 3, 256};
  Status status = session->forward(tokens.data(), 2, nullptr);
  EXPECT_EQ(status.message(),
            "token 256 at index 1 of sequence 1, expected 0 to 255");
  EXPECT_EQ(session->positions(), (std::vector<int64_t>{0, 0}))
      << "nothing has run";
  float state[12];
  ASSERT_TRUE(session->readState(0, 0, state));
  EXPECT_EQ(state[0], 0);
  const int32_t negative = -1;
  EXPECT_TRUE(contains(session->forwardRow(1, &negative, 1, nullptr).message(),
                       "token -1 at index 0 of sequence 1"));
  EXPECT_FALSE(session->forwardRow(2, tokens.data(), 1, nullptr));
  EXPECT_FALSE(session->forwardRow(-1, tokens.data(), 1, nullptr));
  EXPECT_FALSE(session->forward(tokens.data(), 0, nullptr));
  EXPECT_FALSE(Session::create(*model, 0));
  EXPECT_TRUE(
      contains(Session::create(*model, INT64_MAX / 8).message(), "too large"));
}

TEST_F(SessionTest, Reset) {
  load();
  const std::vector<int32_t> tokens = makeTokens(20);
  std::unique_ptr<Session> session = makeSession(2);
  std::vector<float> first(20 * 16), second(20 * 16);
  ASSERT_TRUE(session->forward(tokens.data(), 10, first.data()));
  ASSERT_TRUE(session->reset());
  EXPECT_EQ(session->positions(), (std::vector<int64_t>{0, 0}));
  ASSERT_TRUE(session->forward(tokens.data(), 10, second.data()));
  EXPECT_EQ(first, second);
}

} // namespace
