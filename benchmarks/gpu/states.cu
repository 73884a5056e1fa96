// Variants of a recurrent state update, S = lambda S + k v^T, o = S^T q,
// written by hand and timed as 24 layers in a graph, beside copies of the same
// bytes: what docs/Kernels-GPU.md compares the generated kernel with.
//
//   nvcc -O3 -std=c++17 -gencode=arch=compute_90a,code=sm_90a states.cu
//   ./a.out
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <functional>
#include <vector>
#define CHECK(x)                                                               \
  do {                                                                         \
    cudaError_t code_ = (x);                                                   \
    if (code_ != cudaSuccess) {                                                \
      printf("%s:%d %s\n", __FILE__, __LINE__, cudaGetErrorString(code_));     \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)
constexpr int D = 128, H = 8, LAYERS = 24;
enum Kind { Plain, Cs, EvictFirst, NoAlloc, Lu };
template <int K> __device__ float4 load(const float4 *p) {
  if (K == Plain)
    return *p;
  if (K == Cs)
    return __ldcs(p);
  if (K == Lu)
    return __ldlu(p);
  float4 v;
  if (K == EvictFirst)
    asm volatile("{ .reg .b64 pol; createpolicy.fractional.L2::evict_first.b64 "
                 "pol, 1.0; ld.global.L1::no_allocate.L2::cache_hint.v4.f32 "
                 "{%0,%1,%2,%3}, [%4], pol; }"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "l"(p)
                 : "memory");
  else
    asm volatile("ld.global.L1::no_allocate.v4.f32 {%0,%1,%2,%3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "l"(p)
                 : "memory");
  return v;
}
template <int K> __device__ void store(float4 *p, float4 v) {
  if (K == Cs) {
    __stcs(p, v);
    return;
  }
  if (K == EvictFirst) {
    asm volatile(
        "{ .reg .b64 pol; createpolicy.fractional.L2::evict_first.b64 pol, "
        "1.0; st.global.L2::cache_hint.v4.f32 [%4], {%0,%1,%2,%3}, pol; }" ::
            "f"(v.x),
        "f"(v.y), "f"(v.z), "f"(v.w), "l"(p)
        : "memory");
    return;
  }
  *p = v;
}
// COLS columns a block (4 a thread), WARPS warps share rows (or more, where a
// row is narrower than a warp), TOGETHER rows of a thread in flight.
template <int COLS, int THREADS, int TOGETHER, int L, int S>
__global__ void __launch_bounds__(THREADS)
    update(float *state, const __nv_bfloat16 *q, const __nv_bfloat16 *k,
           const __nv_bfloat16 *v, float *out, float lambda) {
  constexpr int TX = COLS / 4, TY = THREADS / TX, ROWS = D / TY,
                SLICES = D / COLS;
  const int head = blockIdx.x / SLICES, slice = blockIdx.x % SLICES;
  const int tx = threadIdx.x % TX, ty = threadIdx.x / TX;
  float4 *s =
      reinterpret_cast<float4 *>(state + size_t(head) * D * D + slice * COLS) +
      tx;
  float4 held[TOGETHER];
  float4 sum = {0, 0, 0, 0};
  float vv[4];
#pragma unroll
  for (int start = 0; start < ROWS; start += TOGETHER) {
#pragma unroll
    for (int i = 0; i < TOGETHER; ++i)
      held[i] = load<L>(s + ((start + i) * TY + ty) * (D / 4));
    if (start == 0)
#pragma unroll
      for (int c = 0; c < 4; ++c)
        vv[c] = __bfloat162float(v[head * D + slice * COLS + tx * 4 + c]);
#pragma unroll
    for (int i = 0; i < TOGETHER; ++i) {
      const int row = (start + i) * TY + ty;
      const float kk = __bfloat162float(k[head * D + row]),
                  qq = __bfloat162float(q[head * D + row]);
      float4 n = {
          lambda * held[i].x + kk * vv[0], lambda * held[i].y + kk * vv[1],
          lambda * held[i].z + kk * vv[2], lambda * held[i].w + kk * vv[3]};
      store<S>(s + row * (D / 4), n);
      sum.x += qq * n.x;
      sum.y += qq * n.y;
      sum.z += qq * n.z;
      sum.w += qq * n.w;
    }
  }
  __shared__ float4 parts[TY][TX];
  parts[ty][tx] = sum;
  __syncthreads();
  if (threadIdx.x < COLS) {
    const float *flat = reinterpret_cast<const float *>(parts);
    float total = 0;
    for (int y = 0; y < TY; ++y)
      total += flat[y * COLS + threadIdx.x];
    out[head * D + slice * COLS + threadIdx.x] = total;
  }
}
// The state through shared memory by bulk copies, PIECES of it.
template <int PIECES>
__global__ void __launch_bounds__(128)
    bulk(float *state, const __nv_bfloat16 *q, const __nv_bfloat16 *k,
         const __nv_bfloat16 *v, float *out, float lambda) {
  extern __shared__ __align__(128) float tile[];
  __shared__ __align__(8) uint64_t bars[PIECES];
  constexpr int ROWS = D / PIECES, BYTES = ROWS * D * 4;
  const int head = blockIdx.x;
  float *mine = state + size_t(head) * D * D;
  auto addr = [](const void *p) {
    return (uint32_t)__cvta_generic_to_shared(p);
  };
  if (threadIdx.x == 0) {
    for (int p = 0; p < PIECES; ++p)
      asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(addr(&bars[p])));
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    for (int p = 0; p < PIECES; ++p) {
      asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(
                       addr(&bars[p])),
                   "r"(BYTES)
                   : "memory");
      asm volatile(
          "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
          "[%0], [%1], %2, [%3];" ::"r"(addr(tile + p * ROWS * D)),
          "l"(mine + p * ROWS * D), "r"(BYTES), "r"(addr(&bars[p]))
          : "memory");
    }
  }
  __syncthreads();
  const int tx = threadIdx.x % 32, ty = threadIdx.x / 32;
  float4 sum = {0, 0, 0, 0};
  float vv[4];
  for (int c = 0; c < 4; ++c)
    vv[c] = __bfloat162float(v[head * D + tx * 4 + c]);
#pragma unroll 1
  for (int p = 0; p < PIECES; ++p) {
    asm volatile("{ .reg .pred P; W: mbarrier.try_wait.parity.shared.b64 P, "
                 "[%0], 0; @P bra D; bra W; D: }" ::"r"(addr(&bars[p]))
                 : "memory");
#pragma unroll
    for (int i = 0; i < ROWS / 4; ++i) {
      const int row = p * ROWS + i * 4 + ty;
      const float kk = __bfloat162float(k[head * D + row]),
                  qq = __bfloat162float(q[head * D + row]);
      float4 *at = reinterpret_cast<float4 *>(tile + row * D) + tx;
      float4 h = *at;
      float4 n = {lambda * h.x + kk * vv[0], lambda * h.y + kk * vv[1],
                  lambda * h.z + kk * vv[2], lambda * h.w + kk * vv[3]};
      *at = n;
      sum.x += qq * n.x;
      sum.y += qq * n.y;
      sum.z += qq * n.z;
      sum.w += qq * n.w;
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
      asm volatile(
          "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(
              mine + p * ROWS * D),
          "r"(addr(tile + p * ROWS * D)), "r"(BYTES)
          : "memory");
      asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    }
  }
  __shared__ float4 parts[4][32];
  parts[ty][tx] = sum;
  __syncthreads();
  const float *flat = reinterpret_cast<const float *>(parts);
  float total = 0;
  for (int y = 0; y < 4; ++y)
    total += flat[y * D + threadIdx.x];
  out[head * D + threadIdx.x] = total;
  if (threadIdx.x == 0)
    asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
template <int L, int S> __global__ void scale(float4 *x, size_t n) {
  constexpr int U = 8;
  size_t base = size_t(blockIdx.x) * blockDim.x * U + threadIdx.x;
  float4 h[U];
#pragma unroll
  for (int i = 0; i < U; ++i)
    h[i] = load<L>(x + base + i * blockDim.x);
#pragma unroll
  for (int i = 0; i < U; ++i) {
    h[i].x *= 0.99f;
    h[i].y *= 0.99f;
    h[i].z *= 0.99f;
    h[i].w *= 0.99f;
    store<S>(x + base + i * blockDim.x, h[i]);
  }
}
int main() {
  for (int batch : {64, 32}) {
    const size_t heads = size_t(batch) * H, elements = heads * D * D;
    std::vector<float *> states(LAYERS);
    for (auto &s : states) {
      CHECK(cudaMalloc(&s, elements * 4));
    }
    float *spare, *out;
    __nv_bfloat16 *q;
    CHECK(cudaMalloc(&spare, elements * 4));
    CHECK(cudaMalloc(&out, heads * D * 4));
    CHECK(cudaMalloc(&q, 3 * heads * D * 2));
    std::vector<float> noise(elements);
    for (auto &x : noise)
      x = rand() / float(RAND_MAX) - 0.5f;
    std::vector<__nv_bfloat16> small(3 * heads * D);
    for (auto &x : small)
      x = __float2bfloat16(rand() / float(RAND_MAX) - 0.5f);
    for (auto &s : states)
      CHECK(cudaMemcpy(s, noise.data(), elements * 4, cudaMemcpyHostToDevice));
    CHECK(
        cudaMemcpy(q, small.data(), small.size() * 2, cudaMemcpyHostToDevice));
    __nv_bfloat16 *k = q + heads * D, *v = k + heads * D;
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream));
    cudaEvent_t a, b;
    cudaEventCreate(&a);
    cudaEventCreate(&b);
    auto time = [&](const char *name, std::function<void(float *)> body) {
      cudaGraph_t g;
      cudaGraphExec_t e;
      CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
      for (auto s : states)
        body(s);
      CHECK(cudaStreamEndCapture(stream, &g));
      CHECK(cudaGraphInstantiate(&e, g, 0));
      std::vector<float> times;
      for (int i = 0; i < 25; ++i) {
        cudaEventRecord(a, stream);
        CHECK(cudaGraphLaunch(e, stream));
        cudaEventRecord(b, stream);
        CHECK(cudaStreamSynchronize(stream));
        float ms;
        cudaEventElapsedTime(&ms, a, b);
        if (i >= 4)
          times.push_back(ms);
      }
      std::sort(times.begin(), times.end());
      double us = times[times.size() / 2] * 1e3 / LAYERS;
      printf("b%d %-44s %7.2f us a layer  %.2f TB/s\n", batch, name, us,
             2.0 * elements * 4 / us / 1e6);
    };
#define U(C, T, G, L, S)                                                       \
  {                                                                            \
    cudaFuncAttributes at;                                                     \
    int bl;                                                                    \
    cudaFuncGetAttributes(&at, update<C, T, G, L, S>);                         \
    cudaOccupancyMaxActiveBlocksPerMultiprocessor(&bl, update<C, T, G, L, S>,  \
                                                  T, 0);                       \
    printf("[%3d regs, %2d blocks/SM] ", at.numRegs, bl);                      \
  }                                                                            \
  time("update cols " #C " threads " #T " together " #G " " #L "/" #S,         \
       [&](float *s) {                                                         \
         update<C, T, G, L, S>                                                 \
             <<<heads *(D / C), T, 0, stream>>>(s, q, k, v, out, 0.99f);       \
       })
    U(128, 128, 4, Plain, Plain);
    U(64, 64, 16, Plain, Plain);
    U(64, 64, 8, Plain, Plain);
    U(32, 32, 16, Plain, Plain);
    U(32, 128, 8, Cs, Cs);
    U(128, 128, 16, Plain, Plain);
    U(32, 128, 8, Plain, Plain);
    U(32, 128, 4, Plain, Plain);
    U(128, 128, 16, Cs, Cs);
    U(128, 128, 16, EvictFirst, EvictFirst);
    U(128, 128, 16, NoAlloc, Plain);
    U(128, 128, 16, Plain, Cs);
    U(128, 128, 16, EvictFirst, Plain);
    U(128, 128, 8, Plain, Plain);
    U(128, 128, 8, Cs, Cs);
    U(128, 128, 32, Plain, Plain);
    U(128, 256, 16, Plain, Plain);
    U(128, 256, 8, Plain, Plain);
    U(128, 256, 16, Cs, Cs);
    U(128, 512, 8, Plain, Plain);
    U(128, 512, 8, Cs, Cs);
    U(64, 128, 16, Plain, Plain);
    U(64, 256, 8, Plain, Plain);
    U(64, 128, 16, Cs, Cs);
    U(128, 1024, 4, Plain, Plain);
#define B(P)                                                                   \
  CHECK(cudaFuncSetAttribute(                                                  \
      bulk<P>, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536));           \
  time("bulk pieces " #P, [&](float *s) {                                      \
    bulk<P><<<heads, 128, 65536, stream>>>(s, q, k, v, out, 0.99f);            \
  })
    B(2);
    B(4);
    B(8);
#define S(L, ST, T)                                                            \
  time("scale in place " #L "/" #ST " threads " #T, [&](float *s) {            \
    scale<L, ST>                                                               \
        <<<elements / 4 / (T * 8), T, 0, stream>>>((float4 *)s, elements / 4); \
  })
    S(Plain, Plain, 256);
    S(Cs, Cs, 256);
    S(EvictFirst, EvictFirst, 256);
    S(Plain, Plain, 128);
    S(Plain, Plain, 512);
    time("memcpy to another buffer", [&](float *s) {
      cudaMemcpyAsync(spare, s, elements * 4, cudaMemcpyDeviceToDevice, stream);
    });
    time("memset",
         [&](float *s) { cudaMemsetAsync(s, 0, elements * 4, stream); });
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaGetLastError());
    for (auto s : states)
      cudaFree(s);
    cudaFree(spare);
    cudaFree(out);
    cudaFree(q);
  }
}
