// Which gradients a step begins as zeros. Most of them are matrices that a
// product of the library covers before anybody else adds to them: such a
// product can write instead of adding, and the matrix need not be zeroed or
// read. Which ones they are depends on the program alone, and is learnt by
// watching it once.
#ifndef TNRT_TRAIN_GRADIENTZEROS_H
#define TNRT_TRAIN_GRADIENTZEROS_H

#include "TrainBackend.h"
#include "core/Executor.h"

#include <vector>

namespace tnrt {

class GradientZeros {
public:
  // Elements [begin, end) of the array of gradients.
  struct Range {
    int64_t begin, end;
  };

  // `first` is the array's first element; `elements` are all of it, the space
  // between parameters included. The parameters lie in their order.
  GradientZeros(const std::vector<TrainParameter> &parameters,
                const float *first, int64_t elements);

  // Before a run of the program in which every gradient begins as zeros and is
  // added to.
  void learn();
  // Before one that relies on what was learnt: what must be zeroed. The rest is
  // written by products.
  std::vector<Range> apply();

  // Of a product that the program is about to run: the form to run it in.
  int64_t formOf(const MatmulCall &call);
  // Of any other argument of a kernel, be it an address or not.
  void use(const void *argument);

private:
  struct Entry {
    int64_t begin, elements;
    bool isUsed = false;     // in the run that is learnt from
    bool isWritten = false;  // by a product, before any other use
    bool wasWritten = false; // in the run that relies on it
  };
  // The parameter's entry that an address lies in, or null.
  Entry *find(const void *address);

  const float *first;
  int64_t elements;
  bool isLearning = true;
  std::vector<Entry> entries;
};

} // namespace tnrt

#endif // TNRT_TRAIN_GRADIENTZEROS_H
