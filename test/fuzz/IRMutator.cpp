// Mutates IR token by token and line by line, so that more of what comes out parses
// than after changes of single bytes. Those happen too. A size is replaced wherever it
// stands as well: what comes out of that often verifies.
#ifdef TNLLM_FUZZ
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

using Pieces = std::vector<std::string>;

const char *const numbers[] = {
    "0",   "1",      "-1",      "2",    "3",     "7",          "8",
    "16",  "63",     "64",      "4096", "65536", "2147483648", "9223372036854775807",
    "0.0", "1.0e-5", "-1.0e300"};
const char *const words[] = {"?",
                             "f32",
                             "bf16",
                             "i8",
                             "i32",
                             "i64",
                             "f64",
                             "index",
                             "tensor<",
                             "memref<",
                             "vector<",
                             ">",
                             "x",
                             "silu",
                             "relu",
                             "exp",
                             "srms",
                             "layer",
                             "rms",
                             "panels",
                             "rows",
                             "row_scales",
                             "{",
                             "}",
                             "(",
                             ")",
                             "[",
                             "]",
                             ",",
                             "->",
                             ":",
                             "=",
                             "private",
                             "transpose_a",
                             "pairs",
                             "dense<0.0>",
                             "affine_map<(d0) -> (d0)>",
                             "none",
                             "unit",
                             "tn.rows = 8 : i64",
                             "tn.state = 0 : i64",
                             "!tnrt.context",
                             "@prefill",
                             "tn.gradient_of = 0 : i64",
                             "@f",
                             "@f_gradient",
                             "@loss",
                             "threads(128)",
                             "i4",
                             "f8E4M3FN",
                             "!tnk.map<64x64xbf16>",
                             "!tnk.tile<64x64xbf16>",
                             "#gpu.address_space<workgroup>"};

bool isWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$';
}
bool isSigil(char c) { return c == '%' || c == '@' || c == '!' || c == '#' || c == '^'; }

// Words with their sigil, numbers, blanks and single other characters.
Pieces tokens(std::string_view text) {
  Pieces pieces;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    if (isSigil(text[at]) || isWord(text[at]))
      while (end < text.size() && isWord(text[end]))
        ++end;
    else if (std::isspace(static_cast<unsigned char>(text[at])))
      while (end < text.size() && std::isspace(static_cast<unsigned char>(text[end])))
        ++end;
    pieces.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

Pieces lines(std::string_view text) {
  Pieces pieces;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    pieces.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

template <typename Random> std::string someWord(Random &random) {
  if (random() % 2)
    return numbers[random() % std::size(numbers)];
  return words[random() % std::size(words)];
}

// What a token is like: another of its kind can stand in its place.
char kindOf(const std::string &token) {
  if (isSigil(token[0]))
    return token[0];
  if (std::isdigit(static_cast<unsigned char>(token[0])))
    return '0';
  return isWord(token[0]) ? 'a' : token[0];
}

template <typename Random> void replaceByKind(Pieces &pieces, size_t at, Random &random) {
  if (kindOf(pieces[at]) == '0' && random() % 2) {
    pieces[at] = numbers[random() % std::size(numbers)];
    return;
  }
  Pieces same;
  for (const std::string &piece : pieces)
    if (kindOf(piece) == kindOf(pieces[at]))
      same.push_back(piece);
  pieces[at] = same[random() % same.size()];
}

template <typename Random> void mutate(Pieces &pieces, bool areTokens, Random &random) {
  const size_t at = random() % pieces.size(), other = random() % pieces.size();
  switch (random() % (areTokens ? 7 : 3)) {
  case 0:
    pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(at));
    break;
  case 1:
    pieces.insert(pieces.begin() + static_cast<std::ptrdiff_t>(at), std::string(pieces[other]));
    break;
  case 2:
    std::swap(pieces[at], pieces[other]);
    break;
  case 3:
    pieces[at] = someWord(random);
    break;
  default: // twice as likely as the others: the rest seldom parses
    replaceByKind(pieces, at, random);
    break;
  }
}

bool isDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)); }

// A number that stands alone or as a size of a shape: [begin, end) of the text.
struct Number {
  size_t begin, end;
  bool isSize;
};

// All of them, in order. Digits of names, of types and of floats are none.
std::vector<Number> wholeNumbers(std::string_view text) {
  std::vector<Number> found;
  for (size_t at = 0; at < text.size();) {
    if (!isDigit(text[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && isDigit(text[end]))
      ++end;
    const char before = at == 0 ? ' ' : text[at - 1], behind = end == text.size() ? ' ' : text[end];
    const bool isSize = behind == 'x' && (before == '<' || before == 'x');
    if (isSize || (!isWord(before) && !isWord(behind) && !isSigil(before) && before != '-'))
      found.push_back({at, end, isSize});
    at = end;
  }
  return found;
}

// One size of a shape becomes another number in all shapes, or wherever the number stands:
// none, one, odd, large.
template <typename Random> std::string replaceSize(std::string_view text, Random &random) {
  static const char *const sizes[] = {
      "0", "1", "3", "7", "?", "33", "65537", "2147483648", "4294967296", "9223372036854775807"};
  const std::vector<Number> all = wholeNumbers(text);
  std::vector<Number> choices;
  std::copy_if(all.begin(), all.end(), std::back_inserter(choices),
               [](const Number &n) { return n.isSize; });
  if (choices.empty())
    return std::string(text);
  const Number &chosen = choices[random() % choices.size()];
  const std::string_view old = text.substr(chosen.begin, chosen.end - chosen.begin);
  const char *const size = sizes[random() % std::size(sizes)];
  const bool isEverywhere = random() % 2;
  std::string out;
  size_t copied = 0;
  for (const Number &number : all) {
    if (text.substr(number.begin, number.end - number.begin) != old ||
        !(number.isSize || isEverywhere))
      continue;
    out.append(text, copied, number.begin - copied).append(size);
    copied = number.end;
  }
  return out.append(text, copied, text.size() - copied);
}

std::string join(const Pieces &pieces) {
  std::string out;
  for (const std::string &piece : pieces)
    out += piece;
  return out;
}

template <typename Random> std::string mutated(std::string_view text, Random &random) {
  if (random() % 4 == 0)
    return replaceSize(text, random);
  const bool areTokens = random() % 4 != 0;
  Pieces pieces = areTokens ? tokens(text) : lines(text);
  for (size_t edits = 1 + random() % 3; edits != 0 && !pieces.empty(); --edits)
    mutate(pieces, areTokens, random);
  return join(pieces);
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  std::minstd_rand random(seed);
  if (size == 0 || random() % 8 == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  const std::string out =
      mutated(std::string_view(reinterpret_cast<const char *>(data), size), random);
  const size_t length = std::min(out.size(), maxSize);
  std::memcpy(data, out.data(), length);
  return length;
}
#endif // TNLLM_FUZZ
