// Depthwise convolutions and pooling. A thread computes neighbouring channels of one result, 16 bytes of them where the
// number of channels allows it, in a loop over the window. Neighbouring threads take neighbouring channels, so that the
// loads of a warp are contiguous.
#include "activation.cuh"

namespace gapcam {
namespace cuda {

// The work of a thread: neighbouring channels of one result.
struct WindowTask {
  uint32_t channel, y, x;  // the window's first element; y and x wrap around above and left of the picture
  uint32_t image;
  uint32_t at;  // index of the result's first element
};

// The index of the thread's first channel in a pixel of the picture.
__device__ __forceinline__ uint32_t ElementAt(const SlideParams& s, const WindowTask& task, uint32_t row,
                                              uint32_t column) {
  return ((task.image * s.height + row) * s.width + column) * s.channels + task.channel;
}

template <int kCount>
__device__ __forceinline__ WindowTask FindWindowTask(const SlideParams& s, uint32_t thread) {
  const uint32_t channel = Split(&thread, s.by_vectors) * kCount, x = Split(&thread, s.by_out_width),
                 y = Split(&thread, s.by_out_height);
  const uint32_t at = ((thread * s.out_height + y) * s.out_width + x) * s.channels + channel;
  return {channel, y * s.window.stride_h - s.window.pad_top, x * s.window.stride_w - s.window.pad_left, thread, at};
}

template <typename T, int kCount>
__device__ __forceinline__ void Depthwise(const DepthwiseParams& p) {
  const SlideParams& s = p.slide;
  const WindowParams& w = s.window;
  if (ThreadOfGrid() >= s.threads) return;
  const WindowTask task = FindWindowTask<kCount>(s, ThreadOfGrid());
  const Global<const T> x(p.x), weights(p.weights);
  float sums[kCount] = {};
  for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
    const uint32_t row = task.y + ky * w.dilation_h;
    if (row >= s.height) continue;
    for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
      const uint32_t column = task.x + kx * w.dilation_w;
      if (column >= s.width) continue;
      const Vector<T, kCount> value = LoadVector<kCount>(x, ElementAt(s, task, row, column));
      const Vector<T, kCount> weight = LoadVector<kCount>(weights, (ky * w.kernel_w + kx) * s.channels + task.channel);
#pragma unroll
      for (int i = 0; i < kCount; ++i) sums[i] += ToFloat(value[i]) * ToFloat(weight[i]);
    }
  }
  FinishSums<T>(p, task.channel, task.at, sums);
}

template <typename T, int kCount>
__device__ __forceinline__ void Pooled(const PoolParams& p) {
  const SlideParams& s = p.slide;
  const WindowParams& w = s.window;
  if (ThreadOfGrid() >= s.threads) return;
  const WindowTask task = FindWindowTask<kCount>(s, ThreadOfGrid());
  const Global<const T> x(p.x);
  const bool is_max = p.op == Pool::kMax;
  float results[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) results[i] = is_max ? -Infinity() : 0.0f;
  uint32_t counted = 0;
  for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
    const uint32_t row = task.y + ky * w.dilation_h;
    for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
      const uint32_t column = task.x + kx * w.dilation_w;
      const bool is_inside = row < s.height && column < s.width;
      // With ceil_mode a window may reach beyond the padding. Those elements do not count.
      const bool is_padding = p.count_padding &&
                              static_cast<int32_t>(row) < static_cast<int32_t>(s.height + w.pad_bottom) &&
                              static_cast<int32_t>(column) < static_cast<int32_t>(s.width + w.pad_right);
      counted += is_inside || is_padding;
      if (!is_inside) continue;
      const Vector<T, kCount> value = LoadVector<kCount>(x, ElementAt(s, task, row, column));
#pragma unroll
      for (int i = 0; i < kCount; ++i)
        results[i] = is_max ? Greater(results[i], ToFloat(value[i])) : results[i] + ToFloat(value[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if (!is_max) results[i] /= static_cast<float>(counted);
    if (p.residual.elements) results[i] += ToFloat(Global<const T>(p.residual)[task.at + i]);
  }
  StoreResults<T>(p.y, task.at, results);
}

template <typename T>
__device__ __forceinline__ void DepthwiseAny(const DepthwiseParams& p) {
  if (p.slide.channels % kVectorOf<T> == 0)
    Depthwise<T, kVectorOf<T>>(p);
  else
    Depthwise<T, 1>(p);
}

template <typename T>
__device__ __forceinline__ void PooledAny(const PoolParams& p) {
  if (p.slide.channels % kVectorOf<T> == 0)
    Pooled<T, kVectorOf<T>>(p);
  else
    Pooled<T, 1>(p);
}

KERNEL(depthwise_f32, DepthwiseParams, 128) { DepthwiseAny<float>(p); }
KERNEL(depthwise_f16, DepthwiseParams, 128) { DepthwiseAny<half>(p); }
KERNEL(pool_f32, PoolParams, 256) { PooledAny<float>(p); }
KERNEL(pool_f16, PoolParams, 256) { PooledAny<half>(p); }

}  // namespace cuda
}  // namespace gapcam
