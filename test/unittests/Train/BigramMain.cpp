// The bigram trainer as a program, for tests that start and kill it.
#include "App.h"
#include "BigramTrainer.h"

int main(int argc, char **argv) {
  const std::string manifest = tnrt::fake::bigramManifest();
  const tnrt_module module = tnrt::fake::makeBigramTrainer(manifest);
  return tnrt::runApp(argc, argv, module);
}
