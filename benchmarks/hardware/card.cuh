// What the three programs share: an error ends the program with one line, and wgmma's fences and descriptors.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>

inline void check(cudaError_t error, const char *where) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", where, cudaGetErrorString(error));
  std::exit(1);
}

// Shared-memory matrix without swizzle, K-major: core matrices of 8 rows x 16 bytes lie back to back along k, then the
// next 8 rows (PTX ISA, "Matrix Descriptor": start, leading and stride byte offsets in units of 16 bytes).
__device__ inline uint64_t descriptor(const void *matrix, int k_bytes) {
  constexpr uint64_t CORE_BYTES = 128;
  const uint64_t start = static_cast<uint32_t>(__cvta_generic_to_shared(matrix));
  const uint64_t along_k = CORE_BYTES, along_rows = k_bytes / 16 * CORE_BYTES;
  return (start & 0x3FFFF) >> 4 | along_k >> 4 << 16 | along_rows >> 4 << 32;
}

// Makes ordinary stores to shared memory visible to wgmma, then meets the block.
__device__ inline void publish_shared() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
}

__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ inline void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

__device__ inline void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }
