// score: log-probabilities of texts, slab by slab: memory does not grow with a
// text beyond its tokens. Several texts go through the model together, packed
// one after the other.
#include "Commands.h"
#include "Interrupt.h"
#include "LogProb.h"
#include "Text.h"
#include "Utf8.h"

#include "core/PackedSteps.h"
#include "core/Progress.h"

#include <algorithm>
#include <cmath>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

struct Totals {
  int64_t tokens = 0, bytes = 0;
  double logProb = 0;

  void add(const Totals &other) {
    tokens += other.tokens;
    bytes += other.bytes;
    logProb += other.logProb;
  }
};

struct Text {
  std::string file;
  std::vector<int32_t> ids;
  // All but the first token have a context to be predicted from.
  int64_t scored() const { return static_cast<int64_t>(ids.size()) - 1; }
};

// The totals as the end of a JSON object, or as a line.
std::string summaryOf(const Totals &totals, bool json) {
  double mean = totals.logProb / double(std::max<int64_t>(totals.tokens, 1));
  double perplexity = std::exp(-mean), bits = -totals.logProb / std::log(2.0);
  double bitsPerByte = bits / double(std::max<int64_t>(totals.bytes, 1));
  if (json)
    return dumpJson({{"token_count", totals.tokens},
                     {"byte_count", totals.bytes},
                     {"logprob", totals.logProb},
                     {"perplexity", perplexity},
                     {"bits", bits},
                     {"bits_per_byte", bitsPerByte}})
        .substr(1);
  return "tokens " + std::to_string(totals.tokens) + "  logprob " +
         formatNumber(totals.logProb, 6) + "  perplexity " +
         formatNumber(perplexity, 6) + "  bits/byte " +
         formatNumber(bitsPerByte, 6);
}

// Writes the tokens of texts one at a time, as lines or as elements of a JSON
// array, and what they come to.
class Report {
public:
  Report(Output &out, const Tokenizer &tokenizer, const ScoreOptions &options,
         bool isOne)
      : out(out), tokenizer(tokenizer), options(options), isOne(isOne) {
    if (options.json && !isOne)
      out.write("{\"texts\":[");
  }

  void begin(const Text &text) {
    totals = Totals();
    name = text.file;
    if (options.json) {
      std::string start = isOne ? "{" : (texts > 0 ? ",\n{" : "\n{");
      if (!isOne)
        start += "\"file\":" + dumpJson(name) + ",";
      out.write(start + (options.summary ? "" : "\"tokens\":["));
    } else if (!isOne && !options.summary) {
      out.write((texts > 0 ? "\n==> " : "==> ") + escapeForLine(name) +
                " <==\n");
    }
    ++texts;
  }

  void add(int64_t index, int32_t id, double logProb) {
    totals.tokens += 1;
    totals.bytes += static_cast<int64_t>(tokenizer.pieceBytes(id).size());
    totals.logProb += logProb;
    if (options.summary)
      return;
    std::string piece = tokenizer.pieceBytes(id);
    if (options.json) {
      Json json = {
          {"index", index}, {"id", id}, {"text", piece}, {"logprob", logProb}};
      out.write((totals.tokens > 1 ? ",\n" : "\n") + dumpJson(json));
      return;
    }
    std::string shown;
    Utf8Filter filter; // a single byte of a character shows as U+FFFD
    filter.push(piece, shown);
    filter.flush(shown);
    out.write(std::to_string(index) + "\t" + std::to_string(id) + "\t" +
              formatNumber(logProb, 6) + "\t\"" + escapeForLine(shown) +
              "\"\n");
  }

  void end() {
    all.add(totals);
    const std::string summary = summaryOf(totals, options.json);
    if (options.json)
      out.write((options.summary ? "" : "],") + summary + (isOne ? "\n" : ""));
    else
      out.write(summary +
                (isOne || !options.summary ? "" : "  " + escapeForLine(name)) +
                "\n");
  }

  // After the last text.
  void finish() {
    if (isOne)
      return;
    const std::string summary = summaryOf(all, options.json);
    if (options.json)
      out.write("],\n" + summary + "\n");
    else
      out.write((options.summary ? "" : "\n") + summary + "  in " +
                std::to_string(texts) + " texts\n");
  }

private:
  Output &out;
  const Tokenizer &tokenizer;
  const ScoreOptions &options;
  const bool isOne;
  std::string name;
  int64_t texts = 0;
  Totals totals, all;
};

// Texts that go through the model together: the states of all are kept, so that
// they are not more than fill a step.
struct TextGroup {
  size_t begin, end;
};

std::vector<TextGroup> groupTexts(const std::vector<Text> &texts,
                                  int64_t capacity) {
  constexpr size_t kMostTexts = 64;
  std::vector<TextGroup> groups;
  int64_t tokens = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (groups.empty() || tokens >= capacity ||
        i - groups.back().begin == kMostTexts) {
      groups.push_back({i, i});
      tokens = 0;
    }
    groups.back().end = i + 1;
    tokens += texts[i].scored();
  }
  return groups;
}

class Scorer {
public:
  Scorer(Environment &environment, const std::vector<Text> &texts,
         Report &report)
      : environment(environment), m(environment.manifest), texts(texts),
        report(report), slab(std::max<int64_t>(m.capacity.prefillRows, 1)),
        headRows(std::max<int64_t>(m.capacity.headRows, 1)),
        hidden(static_cast<size_t>(slab * m.width)) {}

  // False when it was interrupted, or nobody reads what it writes.
  Result<bool> run(Session &session, const TextGroup &group,
                   Progress &progress);
  // Ends the report, that of a text that was interrupted too.
  void finish();

private:
  Status feed(Session &session, const PackedSteps &steps);
  Status scoreStep(Session &session, const PackedSteps &steps);
  Status scoreByLogits(Session &session, int64_t count);
  Status scoreToken(double logProb);

  Environment &environment;
  const Manifest &m;
  const std::vector<Text> &texts;
  Report &report;
  int64_t slab, headRows;
  std::vector<float> hidden;
  std::vector<float> logits;   // where the program leaves their sum to us
  std::vector<float> scores;   // where it does not
  std::vector<int32_t> tokens; // of a group,
  std::vector<int32_t> labels; // and the one after each in its text
  std::vector<int64_t> counts; // of the session's sequences
  size_t text = 0;             // the next to be scored,
  int64_t index = 0;           // and its token before
};

Status Scorer::feed(Session &session, const PackedSteps &steps) {
  const int32_t *from = tokens.data() + steps.begin();
  if (session.batch() == 1)
    return session.forward(from, steps.count(), hidden.data());
  std::copy(steps.counts().begin(), steps.counts().end(), counts.begin());
  return session.forwardPacked(from, counts.data(), hidden.data());
}

// Of the token after `index` of the text.
Status Scorer::scoreToken(double logProb) {
  const Text &current = texts[text];
  if (index == 0)
    report.begin(current);
  const int32_t id = current.ids[static_cast<size_t>(index + 1)];
  if (std::isnan(logProb))
    return Error{"the logits after position " + std::to_string(index) +
                 " are not finite: are the weights those of this model?"};
  report.add(index + 1, id, logProb);
  if (++index == current.scored()) {
    report.end();
    index = 0;
    ++text;
  }
  return {};
}

// The logits stay where they are computed.
Status Scorer::scoreStep(Session &session, const PackedSteps &steps) {
  if (!session.canScore())
    return scoreByLogits(session, steps.count());
  scores.resize(static_cast<size_t>(slab));
  if (Status status =
          session.score(hidden.data(), steps.count(),
                        labels.data() + steps.begin(), scores.data());
      !status)
    return status;
  for (int64_t i = 0; i < steps.count(); ++i)
    if (Status status = scoreToken(scores[static_cast<size_t>(i)]); !status)
      return status;
  return {};
}

Status Scorer::scoreByLogits(Session &session, int64_t count) {
  logits.resize(static_cast<size_t>(headRows * m.vocabSize));
  for (int64_t row = 0; row < count; row += headRows) {
    const int64_t rows = std::min(headRows, count - row);
    if (Status status =
            session.logits(hidden.data() + row * m.width, rows, logits.data());
        !status)
      return status;
    for (int64_t i = 0; i < rows; ++i) {
      const int32_t id = texts[text].ids[static_cast<size_t>(index + 1)];
      if (Status status = scoreToken(
              logProbability(logits.data() + i * m.vocabSize, m.vocabSize, id));
          !status)
        return status;
    }
  }
  return {};
}

Result<bool> Scorer::run(Session &session, const TextGroup &group,
                         Progress &progress) {
  std::vector<int64_t> lengths;
  tokens.clear();
  labels.clear();
  for (size_t i = group.begin; i < group.end; ++i) {
    lengths.push_back(texts[i].scored());
    tokens.insert(tokens.end(), texts[i].ids.begin(), texts[i].ids.end() - 1);
    labels.insert(labels.end(), texts[i].ids.begin() + 1, texts[i].ids.end());
  }
  counts.assign(static_cast<size_t>(session.batch()), 0);
  if (group.begin > 0)
    if (Status status = session.reset(); !status)
      return status.takeError();
  PackedSteps steps(lengths, slab);
  while (steps.next()) {
    if (interrupted())
      return false;
    if (Status status = feed(session, steps); !status)
      return status.takeError();
    if (Status status = scoreStep(session, steps); !status)
      return status.takeError();
    progress.advance(steps.count());
    if (environment.out.failed())
      return false;
  }
  return true;
}

void Scorer::finish() {
  if (index > 0)
    report.end();
  else if (text == 0) { // not a token
    report.begin(texts[0]);
    report.end();
  }
  report.finish();
}

Result<std::vector<Text>> readTexts(Environment &environment,
                                    const Tokenizer &tokenizer,
                                    const std::vector<std::string> &files) {
  std::vector<Text> texts;
  for (const std::string &file : files) {
    auto text = readInput(file);
    if (!text)
      return text.takeError();
    auto encoded = environment.encode(tokenizer, *text);
    if (!encoded)
      return Error{inputName(file) + ": " + encoded.message()};
    if (encoded->size() < 2)
      return Error{inputName(file) +
                   ": expected a text of at least 2 tokens, found " +
                   std::to_string(encoded->size()) +
                   ": the first token has no context to be predicted from"};
    const int64_t most = environment.manifest.maxPositions;
    if (most > 0 && static_cast<int64_t>(encoded->size()) - 1 > most)
      return Error{inputName(file) + ": expected a text of at most " +
                   std::to_string(most + 1) + " tokens, found " +
                   std::to_string(encoded->size()) + ": the model has " +
                   std::to_string(most) +
                   " positions (max_position_embeddings)"};
    texts.push_back({file, std::move(*encoded)});
  }
  return texts;
}

} // namespace

Result<int> scoreCommand(Environment &environment,
                         const ScoreOptions &options) {
  if (std::count(options.files.begin(), options.files.end(), "-") > 1)
    return Error{"score: expected standard input (-) at most once"};
  auto tokenizer = environment.loadTokenizer();
  if (!tokenizer)
    return tokenizer.takeError();
  auto texts = readTexts(environment, **tokenizer, options.files);
  if (!texts)
    return texts.takeError();
  const std::vector<TextGroup> groups =
      groupTexts(*texts, environment.manifest.capacity.prefillRows);
  size_t batch = 0;
  for (const TextGroup &group : groups)
    batch = std::max(batch, group.end - group.begin);
  auto model = environment.loadModel(static_cast<int64_t>(batch));
  if (!model)
    return model.takeError();
  auto session = Session::create(**model, static_cast<int64_t>(batch));
  if (!session)
    return session.takeError();

  InterruptScope interrupts;
  int64_t scored = 0;
  for (const Text &text : *texts)
    scored += text.scored();
  Progress progress("scoring", scored, Progress::Unit::Items,
                    !environment.options.quiet);
  Report report(environment.out, **tokenizer, options, texts->size() == 1);
  Scorer scorer(environment, *texts, report);
  bool goesOn = true;
  for (size_t i = 0; goesOn && i < groups.size(); ++i) {
    auto done = scorer.run(**session, groups[i], progress);
    if (!done)
      return done.takeError();
    goesOn = *done;
  }
  progress.finish();
  scorer.finish();
  return interrupted() ? interruptCode() : int(kOk);
}

} // namespace tnrt
