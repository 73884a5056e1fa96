// OpenBLAS's sgemm. OPENBLAS_CORETYPE and OPENBLAS_NUM_THREADS choose its kernels.
#include "Gemm.h"

#include <cblas.h>

static gemm::Variant variant(const char *name, CBLAS_TRANSPOSE transpose) {
  return {name, [=](const gemm::Shape &shape) -> gemm::Product {
            return [=](gemm::Operands &x, const float *b) {
              cblas_sgemm(CblasRowMajor, CblasNoTrans, transpose,
                          blasint(shape.m), blasint(shape.n), blasint(shape.k),
                          1.f, x.a.data(), blasint(shape.k), b,
                          blasint(transpose == CblasTrans ? shape.k : shape.n),
                          0.f, x.c.data(), blasint(shape.n));
            };
          }};
}

int main(int argc, char **argv) {
  return gemm::run(argc, argv,
                   std::string("OpenBLAS ") + openblas_get_config(),
                   {variant("nn", CblasNoTrans), variant("nt", CblasTrans)});
}
