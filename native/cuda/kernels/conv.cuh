// The parts that all convolution kernels share: how an element of the implicit matrix maps to the picture, and how a
// tile of sums becomes results. The matrix is never stored; its elements are read from the picture.
//
//              k = (ky, kx, c) ─▶                                 features ─▶
//   pixels   ┌───────┬───────┬───                  k  ┌───────┬───              pixels ┌───────┬───
//  (n,oy,ox) │ kM×kK │       │     of the picture  │  │ kK×kN │     of weights    │   │ kM×kN │     of y
//      ▼     ├───────┼───────┼───                  ▼  ├───────┼───                ▼   ├───────┼───
//
// A block computes one tile of y in a loop over k. With split-K, several blocks share the tile, each with a part of k.
#pragma once
#include "activation.cuh"

namespace gapcam {
namespace cuda {

// A row of the matrix: an output pixel, as the position of its window in the picture.
struct Row {
  int32_t y, x;    // of the window's first element; far outside the picture for rows after the last pixel
  uint32_t image;  // the image's first pixel
};

__device__ __forceinline__ Row FindRow(const ConvParams& p, uint32_t pixel) {
  if (pixel >= p.pixels) return {-0x40000000, 0, 0};
  uint32_t image = pixel;
  uint32_t oy = Split(&image, p.by_out_area);
  const uint32_t ox = Split(&oy, p.by_out_width);
  return {static_cast<int32_t>(oy * p.stride_h) - static_cast<int32_t>(p.pad_top),
          static_cast<int32_t>(ox * p.stride_w) - static_cast<int32_t>(p.pad_left), image * p.height * p.width};
}

// A column of the matrix: an element of the window.
struct Tap {
  int32_t y, x;  // from the window's first element
  uint32_t channel;
  bool is_inside;  // k is less than the depth
};

__device__ __forceinline__ Tap FindTap(const ConvParams& p, uint32_t k, uint32_t group) {
  uint32_t ky = k;
  const uint32_t channel = Split(&ky, p.by_channels), kx = Split(&ky, p.by_kernel_w);
  return {static_cast<int32_t>(ky * p.dilation_h), static_cast<int32_t>(kx * p.dilation_w),
          group * p.group_channels + channel, k < p.depth};
}

// Whether the element lies in the picture. *index is its index in x.
__device__ __forceinline__ bool Locate(const ConvParams& p, const Row& row, const Tap& tap, uint32_t* index) {
  const int32_t y = row.y + tap.y, x = row.x + tap.x;
  *index = (row.image + static_cast<uint32_t>(y) * p.width + static_cast<uint32_t>(x)) * p.channels + tap.channel;
  return tap.is_inside && static_cast<uint32_t>(y) < p.height && static_cast<uint32_t>(x) < p.width;
}

__device__ __forceinline__ const ConvParams& ConvOf(const ConvParams& p) { return p; }
__device__ __forceinline__ const ConvParams& ConvOf(const SeparableParams& p) { return p.conv; }

// Loads the elements from k on of a thread's rows into registers: as vectors, or one by one where the channels do not
// come in whole vectors. Elements outside the picture are 0.
template <typename T, int kLoads>
__device__ __forceinline__ void FetchRows(const ConvParams& p, uint32_t group, const Row (&rows)[kLoads], uint32_t k,
                                          Vector<T, kVectorOf<T>> (&values)[kLoads]) {
  const Global<const T> x(p.x);
  uint32_t index;
  if (p.group_channels % kVectorOf<T> == 0) {
    const Tap tap = FindTap(p, k, group);
#pragma unroll
    for (int i = 0; i < kLoads; ++i)
      values[i] = Locate(p, rows[i], tap, &index) ? LoadVector<kVectorOf<T>>(x, index) : Vector<T, kVectorOf<T>>{};
    return;
  }
#pragma unroll
  for (int j = 0; j < kVectorOf<T>; ++j) {
    const Tap tap = FindTap(p, k + j, group);
#pragma unroll
    for (int i = 0; i < kLoads; ++i) values[i][j] = Locate(p, rows[i], tap, &index) ? x[index] : FromFloat<T>(0.0f);
  }
}

// The same for a depthwise window before the product: computes its results for the channels from k on.
template <typename T, int kLoads>
__device__ __forceinline__ void FetchRows(const SeparableParams& p, uint32_t, const Row (&rows)[kLoads], uint32_t k,
                                          Vector<T, kVectorOf<T>> (&values)[kLoads]) {
  constexpr int kCount = kVectorOf<T>;
  const ConvParams& c = p.conv;
  const Global<const T> x(c.x), weights(p.window_weights);
  const Global<const float> bias(p.window_bias);
#pragma unroll
  for (int i = 0; i < kLoads; ++i) {
    values[i] = {};
    if (k >= c.depth) continue;
    float sum[kCount];
#pragma unroll
    for (int j = 0; j < kCount; ++j) sum[j] = p.window_bias.elements ? bias[k + j] : 0.0f;
#pragma unroll 1
    for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
      const uint32_t y = static_cast<uint32_t>(rows[i].y) + ky * c.dilation_h;  // wraps around outside the picture
      if (y >= c.height) continue;
      for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
        const uint32_t column = static_cast<uint32_t>(rows[i].x) + kx * c.dilation_w;
        if (column >= c.width) continue;
        const Vector<T, kCount> value = LoadVector<kCount>(x, (rows[i].image + y * c.width + column) * c.channels + k);
        const Vector<T, kCount> weight = LoadVector<kCount>(weights, (ky * p.kernel_w + kx) * c.channels + k);
#pragma unroll
        for (int j = 0; j < kCount; ++j) sum[j] += ToFloat(value[j]) * ToFloat(weight[j]);
      }
    }
#pragma unroll
    for (int j = 0; j < kCount; ++j) values[i][j] = FromFloat<T>(Activate(p.window_activation, sum[j]));
  }
}

// The work of a block: its tile, and its part of the depth.
struct Task {
  uint32_t pixel, feature, group, split, first, last;
};

template <int kM, int kN>
__device__ __forceinline__ Task FindTask(const ConvParams& p) {
  const uint32_t group = blockIdx.z / p.splits, split = blockIdx.z - group * p.splits;
  const uint32_t first = split * p.depth_per_split, end = first + p.depth_per_split;
  return {blockIdx.x * kM, blockIdx.y * kN, group, split, first, end < p.depth ? end : p.depth};
}

// Floats from one row of a tile of sums to the next in shared memory. Four unused ones put the starts of neighbouring
// rows into different banks.
template <int kN>
constexpr int kSumStride = kN + 4;

// Finishes a tile whose sums lie in shared memory: writes the results to y, or the sums to the place of their split.
// For a pooled output, the results also replace the sums and are averaged by column.
template <typename T, int kM, int kN, int kThreads, int kCount>
__device__ __forceinline__ void FinishTile(const ConvParams& p, const Task& task, const Shared<float>& sums) {
  const uint32_t all_features = p.groups * p.features;
  for (uint32_t e = threadIdx.x; e < kM * kN / kCount; e += kThreads) {
    const uint32_t row = e / (kN / kCount), column = e % (kN / kCount) * kCount;
    const uint32_t pixel = task.pixel + row, feature = task.feature + column;
    if (pixel >= p.pixels || feature >= p.features) continue;
    const uint32_t place = task.group * p.features + feature, at = pixel * all_features + place;
    float sum[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum[i] = sums[row * kSumStride<kN> + column + i];
    if (p.splits > 1) {
      const Global<float> partial(p.partial);
#pragma unroll
      for (int i = 0; i < kCount; ++i) partial[task.split * p.pixels * all_features + at + i] = sum[i];
      continue;
    }
    FinishSums<T>(p, place, at, sum);
    if (p.pooled.elements) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) sums[row * kSumStride<kN> + column + i] = sum[i];
    }
  }
  if (!p.pooled.elements) return;
  __syncthreads();
  const uint32_t feature = task.feature + threadIdx.x;
  if (threadIdx.x >= kN || feature >= p.features) return;
  float total = 0;
  for (uint32_t row = 0; row < p.pixels; ++row) total += sums[row * kSumStride<kN> + threadIdx.x];
  StoreResult<T>(p.pooled, task.group * p.features + feature, total / static_cast<float>(p.pixels));
}

// The common end of all convolution kernels: moves the sums from registers to shared memory, and finishes the tile. A
// thread (or its warp) holds kCountM × kCountN fragments, the first at (row, column) of the tile. `Fragment` is the
// layout of one: its size, and how it is stored. All threads must have left `memory` before the call.
template <typename T, typename Fragment, int kM, int kN, int kThreads, int kCountM, int kCountN, typename Sums>
__device__ __forceinline__ void FinishConv(const ConvParams& p, const Task& task, const Shared<float>& memory,
                                           uint32_t row, uint32_t column, const Sums (&sums)[kCountM][kCountN]) {
#pragma unroll
  for (int i = 0; i < kCountM; ++i) {
#pragma unroll
    for (int j = 0; j < kCountN; ++j)
      Fragment::Store(memory, (row + i * Fragment::kRows) * kSumStride<kN> + column + j * Fragment::kColumns,
                      kSumStride<kN>, sums[i][j]);
  }
  __syncthreads();
  if (p.features % kVectorOf<T> == 0)
    FinishTile<T, kM, kN, kThreads, kVectorOf<T>>(p, task, memory);
  else
    FinishTile<T, kM, kN, kThreads, 1>(p, task, memory);
}

}  // namespace cuda
}  // namespace gapcam
