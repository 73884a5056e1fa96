// A control for compute-sanitizer's initcheck, which needs nothing of this project:
//   nvcc -arch=sm_90a -o bulk_store bulk_store.cu
//   compute-sanitizer --tool initcheck ./bulk_store
// Two buffers are written by a kernel and copied to the host: one by ordinary
// stores, one by a bulk copy out of shared memory, as TMA stores are. Both arrive
// whole. What initcheck says of either copy is printed by it.
#include <cstdio>

constexpr int kElements = 1024;

__global__ void writePlainly(float *to) { to[threadIdx.x] = float(threadIdx.x); }

__global__ void writeInBulk(float *to) {
  __shared__ alignas(128) float from[kElements];
  from[threadIdx.x] = float(threadIdx.x);
  asm volatile("fence.proxy.async.shared::cta;");
  __syncthreads();
  if (threadIdx.x == 0) {
    auto shared = static_cast<unsigned>(__cvta_generic_to_shared(from));
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
                 :: "l"(to), "r"(shared), "r"(int(sizeof from)) : "memory");
    asm volatile("cp.async.bulk.commit_group;");
    asm volatile("cp.async.bulk.wait_group 0;");
  }
}

int main() {
  static float host[kElements];
  for (auto kernel : {writePlainly, writeInBulk}) {
    float *device = nullptr;
    if (cudaMalloc(&device, sizeof host) != cudaSuccess)
      return 1;
    kernel<<<1, kElements>>>(device);
    if (cudaMemcpy(host, device, sizeof host, cudaMemcpyDeviceToHost) != cudaSuccess)
      return 1;
    int wrong = 0;
    for (int i = 0; i < kElements; ++i)
      wrong += host[i] != float(i);
    std::printf("%s: %d of %d values are wrong\n",
                kernel == writePlainly ? "stores" : "bulk copy", wrong, kElements);
    cudaFree(device);
  }
  return 0;
}
