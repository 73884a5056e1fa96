// Damaged configs must give an error or a valid spec, never a crash.
#include "TestSupport.h"

#include "llvm/Support/MemoryBuffer.h"

#include <random>

using namespace tnllm;

namespace {
class MutationTest : public SpecTest {};

std::string mutate(std::string text, std::mt19937 &random) {
  static const char *const splices[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        "\"",
                                        ",",
                                        ":",
                                        "-",
                                        "0",
                                        "1e9",
                                        "null",
                                        "\n",
                                        "\t",
                                        "'",
                                        "|",
                                        ">",
                                        "&a",
                                        "*a",
                                        "!!x",
                                        "%",
                                        "#",
                                        "---",
                                        "...",
                                        "? ",
                                        "\\",
                                        "\\u12",
                                        "\xC3\xA9",
                                        "\xFF",
                                        "- ",
                                        "@",
                                        "999999999999999999999"};
  int edits = 1 + int(random() % 4);
  for (int i = 0; i < edits && !text.empty(); ++i) {
    size_t at = random() % text.size();
    size_t length = random() % 20;
    switch (random() % 5) {
    case 0:
      text.erase(at, length);
      break;
    case 1:
      text.insert(at, splices[random() % std::size(splices)]);
      break;
    case 2:
      text[at] = char(random() % 256);
      break;
    case 3:
      text.insert(random() % text.size(), text.substr(at, length));
      break;
    case 4:
      if (random() % 8 == 0)
        text.resize(at);
      break;
    }
  }
  return text;
}

void checkOutcome(const std::string &path, const std::string &text) {
  auto model = loadModel(path, {/*useWeights=*/false});
  if (!model) {
    EXPECT_NE(llvm::toString(model.takeError()).find("error: "),
              std::string::npos)
        << text;
    return;
  }
  const ModelSpec &spec = model->spec;
  EXPECT_EQ(spec.hiddenDim % spec.heads, 0);
  EXPECT_EQ(int64_t(spec.lrpe.size()), spec.layers);
  for (double slope : spec.slopes(spec.layers - 1))
    EXPECT_GE(slope, 0.0);
}

TEST_F(MutationTest, NeverCrash) {
  std::string json =
      (*llvm::MemoryBuffer::getFile(TNLLM_SPEC_INPUTS "/tiny/config.json"))
          ->getBuffer()
          .str();
  std::string yaml = "name: x\ndecoder_layers: 2\nlinear_use_lrpe_list:\n"
                     "  - 1\n  - 0\ndecay: {rule: explicit,\n  slopes: [[0.5, "
                     "0.25], [1.0e-3, 0]]}\ndecoder_attention_heads: 2\n"
                     "eos_token_id: [1, 2]\nweights: \"a/b\" # note\n"
                     "tokenizer: 'bytes'\n";
  std::mt19937 random(7);
  for (int i = 0; i < 4000; ++i) {
    std::string text = mutate(i % 2 ? json : yaml, random);
    std::string name = i % 3 ? "mutant.yaml" : "mutant.json";
    checkOutcome(write(name, text), text);
  }
}
} // namespace
