// Executes one instruction on the tiles of a file, one after the other, and writes what each thread then holds.
//
// vectors KEY INPUT OUTPUT. INPUT: u32[tiles, threads, A + B + 1 + C], the words of a thread: A, B, metadata, C.
// OUTPUT: u32[tiles, threads, C]. For wgmma the words of B are those of a shared-memory matrix, in order of threads.
// Nothing here knows where an element of a matrix lies; fragments.py does.
#include <cstring>
#include <vector>

#include "card.cuh"
#include "instructions.inc"

template <class I>
__global__ void __launch_bounds__(I::THREADS) execute(const uint32_t *input, uint32_t *output) {
  const size_t thread = size_t(blockIdx.x) * I::THREADS + threadIdx.x;
  input += thread * (I::A + I::B + 1 + I::C);
  output += thread * I::C;
  uint32_t a[I::A], b[I::B], d[I::C];
  for (uint32_t &word : a) word = *input++;
  for (uint32_t &word : b) word = *input++;
  const uint32_t e = *input++;
  for (uint32_t &word : d) word = *input++;
  if constexpr (I::WGMMA) {
    __shared__ alignas(128) uint32_t b_shared[I::B_BYTES / 4];
    for (int place = 0; place < I::B; ++place) b_shared[threadIdx.x * I::B + place] = b[place];
    publish_shared();
    wgmma_fence();
    I::run(d, a, 0, descriptor(b_shared, I::K_BYTES), e);
    wgmma_commit();
    wgmma_wait();
  } else {
    I::run(d, a, b, e);
  }
  for (uint32_t word : d) *output++ = word;
}

template <class I>
void run(const std::vector<uint32_t> &input, std::vector<uint32_t> &output) {
  const size_t tiles = input.size() / I::THREADS / (I::A + I::B + 1 + I::C);
  output.resize(tiles * I::THREADS * I::C);
  uint32_t *on_card_in, *on_card_out;
  check(cudaMalloc(&on_card_in, input.size() * 4), "device memory");
  check(cudaMalloc(&on_card_out, output.size() * 4), "device memory");
  check(cudaMemcpy(on_card_in, input.data(), input.size() * 4, cudaMemcpyHostToDevice), "copy to the card");
  execute<I><<<unsigned(tiles), I::THREADS>>>(on_card_in, on_card_out);
  check(cudaGetLastError(), I::KEY);
  check(cudaMemcpy(output.data(), on_card_out, output.size() * 4, cudaMemcpyDeviceToHost), I::KEY);
}

int fail(const char *what, const char *which) {
  std::fprintf(stderr, "%s %s\n", what, which);
  return 1;
}

int main(int count, char **words) {
  if (count != 4) return fail("usage:", "vectors KEY INPUT OUTPUT");
  std::FILE *file = std::fopen(words[2], "rb");
  if (!file) return fail("cannot read", words[2]);
  std::vector<uint32_t> input, output;
  for (uint32_t word; std::fread(&word, 4, 1, file) == 1;) input.push_back(word);
  std::fclose(file);
#define RUN(I) \
  if (!std::strcmp(words[1], I::KEY)) run<I>(input, output);
  EACH(RUN)
  if (output.empty()) return fail("no such instruction or no tile:", words[1]);
  file = std::fopen(words[3], "wb");
  if (!file || std::fwrite(output.data(), 4, output.size(), file) != output.size() || std::fclose(file))
    return fail("cannot write", words[3]);
}
