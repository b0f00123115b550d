// Cycles of mma and mma.sp on one SM: one line of CSV for each instruction, number of warps and number of chains.
//
// As Sun et al. (arXiv 2206.02874) measure: one block on one SM; each warp runs 1,024 iterations, each of them one
// instruction of each of `ilp` independent accumulators and a warp sync; operands are in registers before the clock
// starts. period_cycles: from the first warp's start to the last warp's end, of one iteration. With one warp and one
// chain it is the latency, loop included. A skipped multiply-add of mma.sp counts as done.
#include <algorithm>
#include <climits>

#include "card.cuh"
#include "instructions.inc"

constexpr int ITERATIONS = 1024;
constexpr int WARPS[] = {1, 2, 4, 8, 16};
constexpr int MOST_WARPS = 16, MOST_ILP = 8;
constexpr uint32_t LEGAL_METADATA = 0x44444444;  // the first two of every four

template <class I, int ILP>
__global__ void loop(long long *times, uint32_t *results) {
  // Read again for every word: known zeros would be moved into registers anew in every iteration.
  __shared__ volatile uint32_t zero;
  zero = 0;
  __syncthreads();
  uint32_t a[I::A], b[I::B], d[ILP][I::C];
  for (uint32_t &word : a) word = zero;
  for (uint32_t &word : b) word = zero;
  for (auto &chain : d)
    for (uint32_t &word : chain) word = zero;
  const uint32_t e = LEGAL_METADATA + zero;
  __syncthreads();
  const long long start = clock64();
#pragma unroll 1
  for (int i = 0; i < ITERATIONS; ++i) {
#pragma unroll
    for (int chain = 0; chain < ILP; ++chain) I::run(d[chain], a, b, e);
    __syncwarp();
  }
  const long long stop = clock64();
  uint32_t result = 0;
  for (const auto &chain : d)
    for (uint32_t word : chain) result ^= word;
  results[threadIdx.x] = result;
  if (threadIdx.x % 32 == 0) {
    times[threadIdx.x / 32 * 2] = start;
    times[threadIdx.x / 32 * 2 + 1] = stop;
  }
}

template <class I, int ILP>
void measure(long long *times, uint32_t *results) {
  for (int warps : WARPS) {
    for (int repeat = 0; repeat < 2; ++repeat) loop<I, ILP><<<1, 32 * warps>>>(times, results);  // the first warms up
    check(cudaGetLastError(), I::KEY);
    check(cudaDeviceSynchronize(), I::KEY);
    long long first = LLONG_MAX, last = 0;
    for (int warp = 0; warp < warps; ++warp) {
      first = std::min(first, times[2 * warp]);
      last = std::max(last, times[2 * warp + 1]);
    }
    const double period = double(last - first) / ITERATIONS;
    std::printf("%s,%d,%d,%.3f,%.1f\n", I::CSV, warps, ILP, period, double(I::FMA) * warps * ILP / period);
  }
  if constexpr (ILP < MOST_ILP) measure<I, ILP + 1>(times, results);
}

int main() {
  long long *times;
  uint32_t *results;
  check(cudaMallocHost(&times, 2 * MOST_WARPS * sizeof *times), "host memory");
  check(cudaMalloc(&results, 32 * MOST_WARPS * sizeof *results), "device memory");
  std::puts("instruction,in_dtype,out_dtype,n_warps,ilp,period_cycles,fma_per_cycle");
#define MEASURE(I) measure<I, 1>(times, results);
  EACH(MEASURE)
}
