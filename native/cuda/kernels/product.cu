// The product of two results, as in attention. Neither side is known ahead, so none can be packed: both are read from
// their tensors. Factors and sums are in single precision for both element types. These products are few and small, so
// they do not use the tensor cores.
#include "activation.cuh"

namespace gapcam {
namespace cuda {

// Each thread sums 4×4 results of a tile. Elements outside of the matrices count as 0.
template <typename T>
__device__ __forceinline__ void Product(const ProductKernelParams& p) {
  constexpr uint32_t kTile = kProductTile, kDepth = 16, kThreads = 64, kStride = kTile + 4;
  SHARED(float, memory, 2 * kDepth * kStride);
  const Shared<float> a = memory, b = memory.template As<float>(kDepth * kStride);  // [k][row] and [k][column]
  uint32_t batch = blockIdx.x;
  const uint32_t n0 = Split(&batch, p.by_column_tiles) * kTile, m0 = Split(&batch, p.by_row_tiles) * kTile;
  const Global<const T> x(p.x), z(p.z);
  const uint32_t row = threadIdx.x / (kTile / 4) * 4, column = threadIdx.x % (kTile / 4) * 4;
  float sums[4][4] = {};
  for (uint32_t k0 = 0; k0 < p.depth; k0 += kDepth) {
#pragma unroll
    for (uint32_t e = threadIdx.x; e < kTile * kDepth; e += kThreads) {
      const uint32_t k = e % kDepth, m = e / kDepth;
      const bool is_inside = k0 + k < p.depth && m0 + m < p.rows;
      a[k * kStride + m] = is_inside ? ToFloat(x[batch * p.x_step + (m0 + m) * p.depth + k0 + k]) : 0.0f;
    }
#pragma unroll
    for (uint32_t e = threadIdx.x; e < kTile * kDepth; e += kThreads) {
      const uint32_t n = e % kTile, k = e / kTile;
      const bool is_inside = k0 + k < p.depth && n0 + n < p.columns;
      b[k * kStride + n] = is_inside ? ToFloat(z[batch * p.z_step + (k0 + k) * p.columns + n0 + n]) : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (uint32_t k = 0; k < kDepth; ++k) {
      const Vector<float, 4> left = LoadVector<4>(a, k * kStride + row), right = LoadVector<4>(b, k * kStride + column);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] += left[i] * right[j];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) {
#pragma unroll
    for (uint32_t j = 0; j < 4; ++j) {
      const uint32_t m = m0 + row + i, n = n0 + column + j;
      if (m < p.rows && n < p.columns)
        StoreResult<T>(p.y, (batch * p.rows + m) * p.columns + n, Activate(p.activation, sums[i][j]));
    }
  }
}

KERNEL(product_f32, ProductKernelParams, 64) { Product<float>(p); }
KERNEL(product_f16, ProductKernelParams, 64) { Product<half>(p); }

}  // namespace cuda
}  // namespace gapcam
