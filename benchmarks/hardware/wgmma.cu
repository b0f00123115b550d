// Cycles of one wgmma in a chain: one warp group on one SM issues 1,024 that add to one accumulator, back to back.
//
// They come in groups of 16 with a fence before and a commit after, which the compiler asks for in a loop; in longer
// groups it finds too few registers for A. cycles: of the whole chain, its last drain included, through 1,024. Operands
// are zeros, in place before the clock starts: B (and A, where it is shared) without swizzle, so that every core matrix
// is one pass of the 32 banks.
#include "card.cuh"
#include "instructions.inc"

constexpr int GROUPS = 64, OF_GROUP = 16, LENGTH = GROUPS * OF_GROUP;
constexpr uint32_t LEGAL_METADATA = 0x44444444;  // the first two of every four

template <class I>
__global__ void __launch_bounds__(I::THREADS) chain(long long *cycles, uint32_t *results) {
  __shared__ alignas(128) uint32_t a_shared[I::A_BYTES / 4];
  __shared__ alignas(128) uint32_t b_shared[I::B_BYTES / 4];
  for (int place = threadIdx.x; place < I::A_BYTES / 4; place += I::THREADS) a_shared[place] = 0;
  for (int place = threadIdx.x; place < I::B_BYTES / 4; place += I::THREADS) b_shared[place] = 0;
  // Read again for every word: known zeros would be moved into registers anew in every iteration.
  __shared__ volatile uint32_t zero;
  zero = 0;
  publish_shared();
  uint32_t a[I::A], d[I::C];
  for (uint32_t &word : a) word = zero;
  for (uint32_t &word : d) word = zero;
  const uint32_t e = LEGAL_METADATA + zero;
  const uint64_t a_at = descriptor(a_shared, I::KEPT_K_BYTES), b_at = descriptor(b_shared, I::K_BYTES);
  const long long start = clock64();
#pragma unroll 1
  for (int group = 0; group < GROUPS; ++group) {
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < OF_GROUP; ++i) I::run(d, a, a_at, b_at, e);
    wgmma_commit();
  }
  wgmma_wait();
  const long long stop = clock64();
  uint32_t result = 0;
  for (uint32_t word : d) result ^= word;
  results[threadIdx.x] = result;
  if (threadIdx.x == 0) *cycles = stop - start;
}

template <class I>
void measure(long long *cycles, uint32_t *results) {
  for (int repeat = 0; repeat < 2; ++repeat) chain<I><<<1, I::THREADS>>>(cycles, results);  // the first warms up
  check(cudaGetLastError(), I::KEY);
  check(cudaDeviceSynchronize(), I::KEY);
  std::printf("%s,%.3f\n", I::CSV, double(*cycles) / LENGTH);
}

int main() {
  long long *cycles;
  uint32_t *results;
  check(cudaMallocHost(&cycles, sizeof *cycles), "host memory");
  check(cudaMalloc(&results, 128 * sizeof *results), "device memory");
  std::puts("instruction,in_dtype,out_dtype,a_from,cycles");
#define MEASURE(I) measure<I>(cycles, results);
  EACH(MEASURE)
}
