// score: log-probabilities of a text, slab by slab: memory does not grow with
// the text beyond its tokens.
#include "Commands.h"
#include "Interrupt.h"
#include "LogProb.h"
#include "Text.h"
#include "Utf8.h"

#include "core/Progress.h"

#include <algorithm>
#include <cmath>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

struct Totals {
  int64_t tokens = 0, bytes = 0;
  double logProb = 0;
};

// Writes one token at a time, as lines or as elements of a JSON array.
class Report {
public:
  Report(Output &out, const Tokenizer &tokenizer, const ScoreOptions &options)
      : out(out), tokenizer(tokenizer), options(options) {
    if (options.json)
      out.write(options.summary ? "{" : "{\"tokens\":[");
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

  void finish() {
    double mean = totals.logProb / double(std::max<int64_t>(totals.tokens, 1));
    double perplexity = std::exp(-mean), bits = -totals.logProb / std::log(2.0);
    double bitsPerByte = bits / double(std::max<int64_t>(totals.bytes, 1));
    if (options.json) {
      Json json = {{"token_count", totals.tokens},
                   {"byte_count", totals.bytes},
                   {"logprob", totals.logProb},
                   {"perplexity", perplexity},
                   {"bits", bits},
                   {"bits_per_byte", bitsPerByte}};
      out.write((options.summary ? "" : "],") + dumpJson(json).substr(1) +
                "\n");
      return;
    }
    out.write("tokens " + std::to_string(totals.tokens) + "  logprob " +
              formatNumber(totals.logProb, 6) + "  perplexity " +
              formatNumber(perplexity, 6) + "  bits/byte " +
              formatNumber(bitsPerByte, 6) + "\n");
  }

private:
  Output &out;
  const Tokenizer &tokenizer;
  const ScoreOptions &options;
  Totals totals;
};

} // namespace

Result<int> scoreCommand(Environment &environment,
                         const ScoreOptions &options) {
  auto tokenizer = environment.loadTokenizer();
  if (!tokenizer)
    return tokenizer.takeError();
  auto text = readInput(options.file);
  if (!text)
    return text.takeError();
  auto encoded = environment.encode(**tokenizer, *text);
  if (!encoded)
    return Error{inputName(options.file) + ": " + encoded.message()};
  const std::vector<int32_t> &ids = *encoded;
  if (ids.size() < 2)
    return Error{inputName(options.file) +
                 ": expected a text of at least 2 tokens, found " +
                 std::to_string(ids.size()) +
                 ": the first token has no context to be predicted from"};
  const int64_t most = environment.manifest.maxPositions;
  if (most > 0 && static_cast<int64_t>(ids.size()) - 1 > most)
    return Error{inputName(options.file) + ": expected a text of at most " +
                 std::to_string(most + 1) + " tokens, found " +
                 std::to_string(ids.size()) + ": the model has " +
                 std::to_string(most) + " positions (max_position_embeddings)"};
  auto model = environment.loadModel(1);
  if (!model)
    return model.takeError();
  auto session = Session::create(**model, 1);
  if (!session)
    return session.takeError();

  const Manifest &m = environment.manifest;
  auto slab = std::max<int64_t>(m.capacity.prefillRows, 1);
  auto headRows = std::max<int64_t>(m.capacity.headRows, 1);
  std::vector<float> hidden(static_cast<size_t>(slab * m.width));
  std::vector<float> logits(static_cast<size_t>(headRows * m.vocabSize));
  InterruptScope interrupts;
  auto scored = static_cast<int64_t>(ids.size()) - 1;
  Progress progress("scoring", scored, Progress::Unit::Items,
                    !environment.options.quiet);
  Report report(environment.out, **tokenizer, options);
  for (int64_t begin = 0; begin < scored; begin += slab) {
    if (interrupted())
      break;
    int64_t length = std::min(slab, scored - begin);
    if (Status status =
            (*session)->forward(ids.data() + begin, length, hidden.data());
        !status)
      return status.takeError();
    for (int64_t row = 0; row < length; row += headRows) {
      int64_t rows = std::min(headRows, length - row);
      if (Status status = (*session)->logits(hidden.data() + row * m.width,
                                             rows, logits.data());
          !status)
        return status.takeError();
      for (int64_t i = 0; i < rows; ++i) {
        int64_t index = begin + row + i + 1;
        int32_t id = ids[static_cast<size_t>(index)];
        double logProb =
            logProbability(logits.data() + i * m.vocabSize, m.vocabSize, id);
        if (std::isnan(logProb))
          return Error{"the logits after position " +
                       std::to_string(index - 1) +
                       " are not finite: are the weights those of this model?"};
        report.add(index, id, logProb);
      }
    }
    progress.advance(length);
    if (environment.out.failed())
      break;
  }
  progress.finish();
  report.finish();
  return interrupted() ? interruptCode() : int(kOk);
}

} // namespace tnrt
