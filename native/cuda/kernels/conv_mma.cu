// Convolution in half precision from sm_80 on (Orin, Thor, desktop cards): mma.sync.m16n8k16 over three stages of
// shared memory that cp.async fills. While one tile of the depth is multiplied, the copies of the next two are in
// flight.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#include "conv_half.cuh"

namespace gapcam {
namespace cuda {

constexpr uint32_t kStages = 3;

// Starts to load a thread's rows into a stage, from element `at` on. If the channels come in groups of eight, the
// copies are asynchronous; otherwise the values go through registers.
template <typename Tile>
__device__ __forceinline__ void BeginRows(const ConvParams& p, uint32_t group, const Row (&rows)[Tile::kLoadsA],
                                          uint32_t k, const Shared<half>& stage, uint32_t at) {
  if (p.group_channels % 8 == 0) {
    const Global<const half> x(p.x);
    const Tap tap = FindTap(p, k, group);
#pragma unroll
    for (int i = 0; i < Tile::kLoadsA; ++i) {
      uint32_t index;
      const bool is_inside = Locate(p, rows[i], tap, &index);
      CopyAsync(stage, at + i * Tile::kRows * Tile::kStride, x, index, is_inside);
    }
    return;
  }
  Vector<half, 8> values[Tile::kLoadsA];
  FetchRows<half>(p, group, rows, k, values);
#pragma unroll
  for (int i = 0; i < Tile::kLoadsA; ++i) StoreVector(stage, at + i * Tile::kRows * Tile::kStride, values[i]);
}
template <typename Tile>
__device__ __forceinline__ void BeginRows(const SeparableParams& p, uint32_t group, const Row (&rows)[Tile::kLoadsA],
                                          uint32_t k, const Shared<half>& stage, uint32_t at) {
  Vector<half, 8> values[Tile::kLoadsA];
  FetchRows<half>(p, group, rows, k, values);
#pragma unroll
  for (int i = 0; i < Tile::kLoadsA; ++i) StoreVector(stage, at + i * Tile::kRows * Tile::kStride, values[i]);
}

// Starts to load weights and picture of one tile of the depth, from k0 on, into a stage.
template <typename Tile, typename Params>
__device__ __forceinline__ void BeginStage(const Params& params, const Task& task, const Row (&rows)[Tile::kLoadsA],
                                           uint32_t k0, int rows_a, const Shared<half>& stage) {
  const ConvParams& p = ConvOf(params);
  const Global<const half> weights(p.weights);
  const uint32_t k = k0 + threadIdx.x % 4 * 8, at = threadIdx.x / 4 * Tile::kStride + threadIdx.x % 4 * 8;
#pragma unroll
  for (int i = 0; i < Tile::kLoadsB; ++i) {
    CopyAsync(stage, (rows_a + i * Tile::kRows) * Tile::kStride + at, weights,
              WeightAt(p, task, threadIdx.x / 4 + i * Tile::kRows, k), true);
  }
  BeginRows<Tile>(params, task.group, rows, k, stage, at);
}

// Adds one stage's products to a warp's sums: kTilesM × kTilesN tiles of 16×8.
template <int kStride, int kTilesM, int kTilesN>
__device__ __forceinline__ void MultiplyStage(const Shared<half>& a, const Shared<half>& b,
                                              float (&sums)[kTilesM][kTilesN][4]) {
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
      const uint32_t left[4] = {LoadPair(a, at), LoadPair(a, at + 8 * kStride), LoadPair(a, at + 8),
                                LoadPair(a, at + 8 * kStride + 8)};
#pragma unroll
      for (int j = 0; j < kTilesN; ++j) MmaHalf(sums[i][j], left, right[j]);
    }
  }
}

// The layout of a warp's sums after mma.m16n8k16: lane 4g + t holds columns 2t, 2t + 1 of rows g and g + 8.
struct MmaFragment {
  static constexpr int kRows = 16, kColumns = 8;
  static __device__ __forceinline__ void Store(const Shared<float>& to, uint32_t at, uint32_t stride,
                                               const float (&sums)[4]) {
    at += threadIdx.x % 32 / 4 * stride + threadIdx.x % 4 * 2;
    StoreVector(to, at, Vector<float, 2>{{sums[0], sums[1]}});
    StoreVector(to, at + 8 * stride, Vector<float, 2>{{sums[2], sums[3]}});
  }
};

// A block computes kM × kN results; each of its warps computes kWarpM × kWarpN of them.
template <int kM, int kN, int kWarpM, int kWarpN, typename Params>
__device__ __forceinline__ void ConvMma(const Params& params) {
  const ConvParams& p = ConvOf(params);
  constexpr int kThreads = kM / kWarpM * (kN / kWarpN) * 32, kTilesM = kWarpM / 16, kTilesN = kWarpN / 8;
  using Tile = HalfTile<kM, kN, kThreads>;
  SHARED(half, memory, Tile::template kShared<kStages>);
  const Task task = FindTask<kM, kN>(p);
  Row rows[Tile::kLoadsA];
  FindRows<Tile::kRows>(p, task.pixel, rows);
  const uint32_t warp = threadIdx.x / 32, row = warp / (kN / kWarpN) * kWarpM, column = warp % (kN / kWarpN) * kWarpN;
  float sums[kTilesM][kTilesN][4] = {};
  // Each step fills one stage and multiplies the stage that was filled kStages - 1 steps before. A single loop body for
  // the start, the middle and the end halves the code and saves registers.
  const uint32_t steps = (task.last - task.first + Tile::kK - 1) / Tile::kK;
  uint32_t filled = 0, ready = 0;
#pragma unroll 1
  for (uint32_t step = 0; step < steps + kStages - 1; ++step) {
    const bool is_begun = step >= kStages - 1;
    if (is_begun) {
      WaitCopies<kStages - 2>();
      __syncthreads();  // all threads see the stage, and none still reads the stage that is filled next
    }
    if (step < steps)
      BeginStage<Tile>(params, task, rows, task.first + step * Tile::kK, kM,
                       memory.template As<half>(filled * Tile::kStage));
    CommitCopies();
    filled = filled + 1 == kStages ? 0 : filled + 1;
    if (!is_begun) continue;
    const Shared<half> a = memory.template As<half>(ready * Tile::kStage);
    MultiplyStage<Tile::kStride>(a.template As<half>(row * Tile::kStride),
                                 a.template As<half>((kM + column) * Tile::kStride), sums);
    ready = ready + 1 == kStages ? 0 : ready + 1;
  }
  __syncthreads();
  FinishConv<half, MmaFragment, kM, kN, kThreads>(p, task, memory.template As<float>(), row, column, sums);
}

TILE_KERNEL(conv_f16_mma_64x64, ConvParams, 128) { ConvMma<64, 64, 32, 32>(p); }
TILE_KERNEL(conv_f16_mma_32x32, ConvParams, 64) { ConvMma<32, 32, 16, 32>(p); }
TILE_KERNEL(separable_f16_mma_64x64, SeparableParams, 128) { ConvMma<64, 64, 32, 32>(p); }
TILE_KERNEL(separable_f16_mma_32x32, SeparableParams, 64) { ConvMma<32, 32, 16, 32>(p); }

}  // namespace cuda
}  // namespace gapcam
#endif
