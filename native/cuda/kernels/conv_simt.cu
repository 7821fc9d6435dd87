// Convolution in single precision, for every generation. Each thread sums 4×4 results in registers. While one tile of
// the depth is multiplied, the next one is loaded into registers, and then stored to the other half of shared memory.
#include "conv.cuh"

namespace gapcam {
namespace cuda {

// Sizes of a tile, and one tile of the depth on its way from global to shared memory, through a thread's registers.
template <int kM, int kN>
struct SimtTile {
  static constexpr int kK = 16, kThreads = kM * kN / 16;
  static constexpr int kStrideA = kM + 4, kStrideB = kN + 4;  // A lies transposed: [k][row]
  static constexpr int kHalf = kK * (kStrideA + kStrideB);    // floats of one stage
  static constexpr int kSums = kM * kSumStride<kN>;
  static constexpr int kShared = 2 * kHalf > kSums ? 2 * kHalf : kSums;
  static constexpr int kLoadsA = kM * kK / 4 / kThreads, kLoadsB = kK * kN / 4 / kThreads;

  Vector<float, 4> a[kLoadsA], b[kLoadsB];

  template <typename Params>
  __device__ __forceinline__ void Fetch(const Params& params, const Task& task, const Row (&rows)[kLoadsA],
                                        uint32_t k0) {
    const ConvParams& p = ConvOf(params);
    const Global<const float> weights(p.weights);
    FetchRows<float>(params, task.group, rows, k0 + threadIdx.x % (kK / 4) * 4, a);
#pragma unroll
    for (int i = 0; i < kLoadsB; ++i) {
      const uint32_t e = threadIdx.x + i * kThreads, row = e / (kN / 4), column = e % (kN / 4) * 4;
      b[i] =
          LoadVector<4>(weights, (task.group * p.packed_depth + k0 + row) * p.packed_features + task.feature + column);
    }
  }

  __device__ __forceinline__ void Keep(const Shared<float>& stage) const {
    const uint32_t k = threadIdx.x % (kK / 4) * 4;
#pragma unroll
    for (int i = 0; i < kLoadsA; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j)
        stage[(k + j) * kStrideA + threadIdx.x / (kK / 4) + i * (kThreads / (kK / 4))] = a[i][j];
    }
#pragma unroll
    for (int i = 0; i < kLoadsB; ++i) {
      const uint32_t e = threadIdx.x + i * kThreads;
      StoreVector(stage, kK * kStrideA + e / (kN / 4) * kStrideB + e % (kN / 4) * 4, b[i]);
    }
  }
};

// Four neighbouring sums of one row, all in one thread.
struct SimtFragment {
  static constexpr int kRows = 1, kColumns = 4;
  static __device__ __forceinline__ void Store(const Shared<float>& to, uint32_t at, uint32_t, const float (&sums)[4]) {
    StoreVector(to, at, Vector<float, 4>{{sums[0], sums[1], sums[2], sums[3]}});
  }
};

// A block computes kM × kN results.
template <int kM, int kN, typename Params>
__device__ __forceinline__ void ConvSimt(const Params& params) {
  const ConvParams& p = ConvOf(params);
  using Tile = SimtTile<kM, kN>;
  SHARED(float, memory, Tile::kShared);
  const Task task = FindTask<kM, kN>(p);
  Row rows[Tile::kLoadsA];
#pragma unroll
  for (int i = 0; i < Tile::kLoadsA; ++i)
    rows[i] = FindRow(p, task.pixel + threadIdx.x / (Tile::kK / 4) + i * (Tile::kThreads / (Tile::kK / 4)));
  const uint32_t row = threadIdx.x / (kN / 4) * 4, column = threadIdx.x % (kN / 4) * 4;
  float sums[4][1][4] = {};
  Tile next;
  next.Fetch(params, task, rows, task.first);
  next.Keep(memory);
  __syncthreads();
  for (uint32_t k0 = task.first, stage = 0; k0 < task.last; k0 += Tile::kK, stage ^= 1) {
    const bool has_next = k0 + Tile::kK < task.last;
    if (has_next) next.Fetch(params, task, rows, k0 + Tile::kK);
    const Shared<float> a = memory.template As<float>(stage * Tile::kHalf),
                        b = a.template As<float>(Tile::kK * Tile::kStrideA);
#pragma unroll
    for (int k = 0; k < Tile::kK; ++k) {
      const Vector<float, 4> left = LoadVector<4>(a, k * Tile::kStrideA + row),
                             right = LoadVector<4>(b, k * Tile::kStrideB + column);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][0][j] += left[i] * right[j];
      }
    }
    if (has_next) next.Keep(memory.template As<float>((stage ^ 1) * Tile::kHalf));
    __syncthreads();
  }
  FinishConv<float, SimtFragment, kM, kN, Tile::kThreads>(p, task, memory, row, column, sums);
}

TILE_KERNEL(conv_f32_64x64, ConvParams, 256) { ConvSimt<64, 64>(p); }
TILE_KERNEL(conv_f32_32x32, ConvParams, 64) { ConvSimt<32, 32>(p); }
TILE_KERNEL(separable_f32_64x64, SeparableParams, 256) { ConvSimt<64, 64>(p); }
TILE_KERNEL(separable_f32_32x32, SeparableParams, 64) { ConvSimt<32, 32>(p); }

}  // namespace cuda
}  // namespace gapcam
