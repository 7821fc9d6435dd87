// Tiles of halves in shared memory for the tensor cores. A row holds 32 elements along the depth: of one pixel of the
// picture, or of one feature of the weights. Eight unused elements at its end put the starts of neighbouring rows into
// different banks.
#pragma once
#include "conv.cuh"

namespace gapcam {
namespace cuda {

template <int kM, int kN, int kThreads>
struct HalfTile {
  static constexpr int kK = 32, kStride = kK + 8;
  static constexpr int kStage = (kM + kN) * kStride;  // halves of one stage
  static constexpr int kRows = kThreads / (kK / 8);   // rows that the block covers with one 16-byte load a thread
  static constexpr int kLoadsA = kM / kRows, kLoadsB = kN / kRows;
  static constexpr int kSums = kM * kSumStride<kN> * 2;  // the tile of sums, counted in halves
  template <int kCount>                                  // stages
  static constexpr int kShared = kCount * kStage > kSums ? kCount* kStage : kSums;
  static_assert(kM % kRows == 0 && kN % kRows == 0);
};

// The rows that this thread loads.
template <int kRows, int kLoads>
__device__ __forceinline__ void FindRows(const ConvParams& p, uint32_t pixel, Row (&rows)[kLoads]) {
#pragma unroll
  for (int i = 0; i < kLoads; ++i) rows[i] = FindRow(p, pixel + threadIdx.x / 4 + i * kRows);
}

// The index of a vector of weights: eight elements from depth k on, of the tile's feature `row`.
__device__ __forceinline__ uint32_t WeightAt(const ConvParams& p, const Task& task, uint32_t row, uint32_t k) {
  return (task.group * p.packed_features + task.feature + row) * p.packed_depth + k;
}

}  // namespace cuda
}  // namespace gapcam
