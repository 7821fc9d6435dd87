// Products that need no tile: the sums of a split depth added up, and a few rows times a matrix.
#include "activation.cuh"

namespace gapcam {
namespace cuda {

// One thread for each result. It adds the splits in a fixed order, so that every run gives the same bits.
template <typename T>
__device__ __forceinline__ void SplitSum(const SplitSumParams& p) {
  const uint32_t i = ThreadOfGrid();
  if (i >= p.elements) return;
  const Global<const float> partial(p.partial);
  float sum = 0;
  for (uint32_t split = 0; split < p.splits; ++split) sum += partial[split * p.elements + i];
  uint32_t pixel = i;
  const uint32_t feature = Split(&pixel, p.by_features);
  FinishSum<T>(p, feature, i, sum);
}

// One warp for each result. Its lanes share the depth, and then add up their sums. The last layer of a classifier has a
// single row, which would leave most of a product kernel's tile empty. The weights are read once, with 16-byte loads.
template <typename T>
__device__ __forceinline__ void DenseRow(const DenseRowParams& p) {
  constexpr int kCount = kVectorOf<T>;
  uint32_t row = WarpOfGrid();
  if (row >= p.rows * p.features) return;
  const uint32_t result = row, feature = Split(&row, p.by_features), lane = threadIdx.x % 32;
  const Global<const T> x(p.x), weights(p.weights);
  float sum = 0;
  const uint32_t vectors = p.depth % kCount == 0 ? p.depth / kCount : 0;
  for (uint32_t i = lane; i < vectors; i += 32) {
    const Vector<T, kCount> left = LoadVector<kCount>(x, row * p.depth + i * kCount),
                            right = LoadVector<kCount>(weights, feature * p.depth + i * kCount);
#pragma unroll
    for (int j = 0; j < kCount; ++j) sum += ToFloat(left[j]) * ToFloat(right[j]);
  }
  for (uint32_t k = vectors * kCount + lane; k < p.depth; k += 32)
    sum += ToFloat(x[row * p.depth + k]) * ToFloat(weights[feature * p.depth + k]);
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) sum += ShuffleXor(sum, mask);
  if (lane == 0) FinishSum<T>(p, feature, result, sum);
}

KERNEL(split_sum_f32, SplitSumParams, 256) { SplitSum<float>(p); }
KERNEL(split_sum_f16, SplitSumParams, 256) { SplitSum<half>(p); }
KERNEL(dense_row_f32, DenseRowParams, 128) { DenseRow<float>(p); }
KERNEL(dense_row_f16, DenseRowParams, 128) { DenseRow<half>(p); }

}  // namespace cuda
}  // namespace gapcam
