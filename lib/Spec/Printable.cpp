// Control characters spelt out.
#include "tnllm/Spec/Printable.h"

#include "llvm/ADT/StringExtras.h"

std::string tnllm::printable(llvm::StringRef text) {
  std::string result;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F)
      result += c;
    else if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else
      result += "\\x" + llvm::toHex(llvm::StringRef(&c, 1));
  }
  return result;
}
