// Convolution in half precision on Xavier (sm_72): WMMA tiles of 16×16×16 with sums in single precision. This
// generation has no asynchronous copies, so the next tile of the depth is loaded into registers, as in conv_simt.cu.
#if !defined(__CUDA_ARCH__) || (__CUDA_ARCH__ >= 700 && __CUDA_ARCH__ < 800)
#include "conv_half.cuh"

namespace gapcam {
namespace cuda {

// One tile of the depth on its way from global to shared memory, through a thread's registers.
template <int kM, int kN, int kThreads>
struct WmmaStage {
  using Tile = HalfTile<kM, kN, kThreads>;
  Vector<half, 8> a[Tile::kLoadsA], b[Tile::kLoadsB];

  template <typename Params>
  __device__ __forceinline__ void Fetch(const Params& params, const Task& task, const Row (&rows)[Tile::kLoadsA],
                                        uint32_t k0) {
    const ConvParams& p = ConvOf(params);
    const Global<const half> weights(p.weights);
    const uint32_t k = k0 + threadIdx.x % 4 * 8;
    FetchRows<half>(params, task.group, rows, k, a);
#pragma unroll
    for (int i = 0; i < Tile::kLoadsB; ++i)
      b[i] = LoadVector<8>(weights, WeightAt(p, task, threadIdx.x / 4 + i * Tile::kRows, k));
  }

  __device__ __forceinline__ void Keep(const Shared<half>& stage) const {
    const uint32_t at = threadIdx.x / 4 * Tile::kStride + threadIdx.x % 4 * 8;
#pragma unroll
    for (int i = 0; i < Tile::kLoadsA; ++i) StoreVector(stage, at + i * Tile::kRows * Tile::kStride, a[i]);
#pragma unroll
    for (int i = 0; i < Tile::kLoadsB; ++i) StoreVector(stage, (kM + i * Tile::kRows) * Tile::kStride + at, b[i]);
  }
};

// The layout of a warp's sums is WMMA's own; the hardware stores them.
struct WmmaFragment {
  static constexpr int kRows = 16, kColumns = 16;
  static __device__ __forceinline__ void Store(const Shared<float>& to, uint32_t at, uint32_t stride,
                                               const WmmaSums& sums) {
    WmmaStore(to, at, sums, stride);
  }
};

// A block computes kM × kN results; each of its warps computes kWarpM × kWarpN of them.
template <int kM, int kN, int kWarpM, int kWarpN, typename Params>
__device__ __forceinline__ void ConvWmma(const Params& params) {
  const ConvParams& p = ConvOf(params);
  constexpr int kThreads = kM / kWarpM * (kN / kWarpN) * 32;
  using Tile = HalfTile<kM, kN, kThreads>;
  SHARED(half, memory, Tile::template kShared<2>);
  const Task task = FindTask<kM, kN>(p);
  Row rows[Tile::kLoadsA];
  FindRows<Tile::kRows>(p, task.pixel, rows);
  const uint32_t warp = threadIdx.x / 32, row = warp / (kN / kWarpN) * kWarpM, column = warp % (kN / kWarpN) * kWarpN;
  WmmaSums sums[kWarpM / 16][kWarpN / 16];
#pragma unroll
  for (auto& line : sums) {
#pragma unroll
    for (auto& tile : line) WmmaClear(tile);
  }
  WmmaStage<kM, kN, kThreads> next;
  next.Fetch(params, task, rows, task.first);
  next.Keep(memory);
  __syncthreads();
  for (uint32_t k0 = task.first, stage = 0; k0 < task.last; k0 += Tile::kK, stage ^= 1) {
    const bool has_next = k0 + Tile::kK < task.last;
    if (has_next) next.Fetch(params, task, rows, k0 + Tile::kK);
    const Shared<half> a = memory.template As<half>(stage * Tile::kStage);
#pragma unroll
    for (int k = 0; k < Tile::kK; k += 16) {
      WmmaB right[kWarpN / 16];
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)
        WmmaLoad(right[j], a, (kM + column + j * 16) * Tile::kStride + k, Tile::kStride);
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i) {
        WmmaA left;
        WmmaLoad(left, a, (row + i * 16) * Tile::kStride + k, Tile::kStride);
#pragma unroll
        for (int j = 0; j < kWarpN / 16; ++j) WmmaMultiply(sums[i][j], left, right[j]);
      }
    }
    if (has_next) next.Keep(memory.template As<half>((stage ^ 1) * Tile::kStage));
    __syncthreads();
  }
  FinishConv<half, WmmaFragment, kM, kN, kThreads>(p, task, memory.template As<float>(), row, column, sums);
}

TILE_KERNEL(conv_f16_wmma_64x64, ConvParams, 128) { ConvWmma<64, 64, 32, 32>(p); }
TILE_KERNEL(conv_f16_wmma_32x32, ConvParams, 64) { ConvWmma<32, 32, 16, 32>(p); }
TILE_KERNEL(separable_f16_wmma_64x64, SeparableParams, 128) { ConvWmma<64, 64, 32, 32>(p); }
TILE_KERNEL(separable_f16_wmma_32x32, SeparableParams, 64) { ConvWmma<32, 32, 16, 32>(p); }

}  // namespace cuda
}  // namespace gapcam
#endif
