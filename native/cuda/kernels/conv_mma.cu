// Convolution in half precision from sm_80 on (Orin, Thor, and the desktop's cards): mma.sync.m16n8k16 over three stages
// that cp.async fills, so that two tiles of the depth are on their way while one is multiplied.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#include "conv_half.cuh"

namespace gapcam {
namespace cuda {

constexpr int kStages = 3;

template <typename Tile>
__device__ __forceinline__ void BeginStage(const ConvParams& p, const Task& task, const Row (&rows)[Tile::kLoadsA], uint32_t k0, int rows_a, const Shared<half>& stage) {
  const Global<const half> x(p.x), weights(p.weights);
  const uint32_t k = k0 + threadIdx.x % 4 * 8, at = threadIdx.x / 4 * Tile::kStride + threadIdx.x % 4 * 8;
  if (p.group_channels % 8 == 0) {
    const Tap tap = FindTap(p, k, task.group);
#pragma unroll
    for (int i = 0; i < Tile::kLoadsA; ++i) {
      uint32_t index;
      const bool is_inside = Locate(p, rows[i], tap, &index);
      CopyAsync(stage, at + i * Tile::kRows * Tile::kStride, x, index, is_inside);
    }
  } else {
#pragma unroll
    for (int i = 0; i < Tile::kLoadsA; ++i) StoreVector(stage, at + i * Tile::kRows * Tile::kStride, Gather(p, rows[i], k, task.group));
  }
#pragma unroll
  for (int i = 0; i < Tile::kLoadsB; ++i) {
    CopyAsync(stage, (rows_a + i * Tile::kRows) * Tile::kStride + at, weights, WeightAt(p, task, threadIdx.x / 4 + i * Tile::kRows, k), true);
  }
}

// kTilesM × kTilesN products of 16×8 over one stage.
template <int kStride, int kTilesM, int kTilesN>
__device__ __forceinline__ void MultiplyStage(const Shared<half>& a, const Shared<half>& b, float (&sums)[kTilesM][kTilesN][4]) {
  const uint32_t group = threadIdx.x % 32 / 4, pair = threadIdx.x % 4 * 2;
#pragma unroll
  for (int k = 0; k < 32; k += 16) {
    uint32_t right[kTilesN][2];
#pragma unroll
    for (int j = 0; j < kTilesN; ++j) {
      right[j][0] = LoadPair(b, (j * 8 + group) * kStride + k + pair);
      right[j][1] = LoadPair(b, (j * 8 + group) * kStride + k + pair + 8);
    }
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) {
      const uint32_t at = (i * 16 + group) * kStride + k + pair;
      const uint32_t left[4] = {LoadPair(a, at), LoadPair(a, at + 8 * kStride), LoadPair(a, at + 8), LoadPair(a, at + 8 * kStride + 8)};
#pragma unroll
      for (int j = 0; j < kTilesN; ++j) MmaHalf(sums[i][j], left, right[j]);
    }
  }
}

// kWarpM × kWarpN of a tile's sums are one warp's.
template <int kM, int kN, int kWarpM, int kWarpN>
__device__ __forceinline__ void ConvMma(const ConvParams& p) {
  constexpr int kThreads = kM / kWarpM * (kN / kWarpN) * 32, kTilesM = kWarpM / 16, kTilesN = kWarpN / 8;
  using Tile = HalfTile<kM, kN, kThreads>;
  SHARED(half, memory, Tile::template kShared<kStages>);
  const Task task = FindTask<kM, kN>(p);
  Row rows[Tile::kLoadsA];
  FindRows<Tile::kRows>(p, task.pixel, rows);
  const uint32_t warp = threadIdx.x / 32, row = warp / (kN / kWarpN) * kWarpM, column = warp % (kN / kWarpN) * kWarpN;
  float sums[kTilesM][kTilesN][4] = {};
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    const uint32_t k0 = task.first + stage * Tile::kK;
    if (k0 < task.last) BeginStage<Tile>(p, task, rows, k0, kM, memory.template As<half>(stage * Tile::kStage));
    CommitCopies();
  }
  uint32_t stage = 0, ahead = kStages - 1;
  for (uint32_t k0 = task.first; k0 < task.last; k0 += Tile::kK) {
    WaitCopies<kStages - 2>();
    __syncthreads();  // the stage is there for all, and all have left the one that is filled next
    const uint32_t later = k0 + (kStages - 1) * Tile::kK;
    if (later < task.last) BeginStage<Tile>(p, task, rows, later, kM, memory.template As<half>(ahead * Tile::kStage));
    CommitCopies();
    const Shared<half> a = memory.template As<half>(stage * Tile::kStage);
    MultiplyStage<Tile::kStride>(a.template As<half>(row * Tile::kStride), a.template As<half>((kM + column) * Tile::kStride), sums);
    stage = stage + 1 == kStages ? 0 : stage + 1;
    ahead = ahead + 1 == kStages ? 0 : ahead + 1;
  }
  __syncthreads();
  const Shared<float> results = memory.template As<float>();
  const uint32_t group = threadIdx.x % 32 / 4, pair = threadIdx.x % 4 * 2;
#pragma unroll
  for (int i = 0; i < kTilesM; ++i) {
#pragma unroll
    for (int j = 0; j < kTilesN; ++j) {
      const uint32_t at = (row + i * 16 + group) * (kN + 4) + column + j * 8 + pair;
      StoreVector(results, at, Vector<float, 2>{{sums[i][j][0], sums[i][j][1]}});
      StoreVector(results, at + 8 * (kN + 4), Vector<float, 2>{{sums[i][j][2], sums[i][j][3]}});
    }
  }
  __syncthreads();
  FinishConv<half, kM, kN, kThreads>(p, task, results);
}

KERNEL(conv_f16_mma_64x64, ConvParams, 128) { ConvMma<64, 64, 32, 32>(p); }
KERNEL(conv_f16_mma_32x32, ConvParams, 64) { ConvMma<32, 32, 16, 32>(p); }

}  // namespace cuda
}  // namespace gapcam
#endif
