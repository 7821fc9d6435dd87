// Tiles of halves in shared memory, for the tensor cores: rows of 32 along the depth, both of the picture (a row is a pixel)
// and of the weights (a row is a feature). Eight more keep the rows' starts in different banks.
#pragma once
#include "conv.cuh"

namespace gapcam {
namespace cuda {

template <int kM, int kN, int kThreads>
struct HalfTile {
  static constexpr int kK = 32, kStride = kK + 8;
  static constexpr int kStage = (kM + kN) * kStride;  // halves of one stage
  static constexpr int kRows = kThreads / (kK / 8);   // that one pass of 16-byte loads covers
  static constexpr int kLoadsA = kM / kRows, kLoadsB = kN / kRows;
  static constexpr int kSums = kM * (kN + 4) * 2;  // floats, as halves
  template <int kCount>                            // stages
  static constexpr int kShared = kCount * kStage > kSums ? kCount* kStage : kSums;
  static_assert(kM % kRows == 0 && kN % kRows == 0);
};

// The rows of this thread's loads.
template <int kRows, int kLoads>
__device__ __forceinline__ void FindRows(const ConvParams& p, uint32_t pixel, Row (&rows)[kLoads]) {
#pragma unroll
  for (int i = 0; i < kLoads; ++i) rows[i] = FindRow(p, pixel + threadIdx.x / 4 + i * kRows);
}

// Where a vector of weights lies.
__device__ __forceinline__ uint32_t WeightAt(const ConvParams& p, const Task& task, uint32_t row, uint32_t k) {
  return (task.group * p.packed_features + task.feature + row) * p.packed_depth + k;
}

}  // namespace cuda
}  // namespace gapcam
