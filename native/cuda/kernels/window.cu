// Depthwise convolutions and pooling: a thread has neighbouring channels of one result, 16 bytes of them where there are
// as many, and goes over its window. Neighbouring threads have neighbouring channels, so that every load of a warp is one.
#include "activation.cuh"

namespace gapcam {
namespace cuda {

template <typename T, int kCount>
__device__ __forceinline__ void Depthwise(const DepthwiseParams& p) {
  uint32_t image = ThreadOfGrid();
  if (image >= p.threads) return;
  const uint32_t channel = Split(&image, p.by_vectors) * kCount, ox = Split(&image, p.by_out_width), oy = Split(&image, p.by_out_height);
  const WindowParams& w = p.window;
  const Global<const T> x(p.x), weights(p.weights);
  float sum[kCount] = {};
  for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
    const uint32_t y = oy * w.stride_h + ky * w.dilation_h - w.pad_top;  // wraps around above the picture
    if (y >= p.height) continue;
    for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
      const uint32_t column = ox * w.stride_w + kx * w.dilation_w - w.pad_left;
      if (column >= p.width) continue;
      const Vector<T, kCount> value = LoadVector<kCount>(x, ((image * p.height + y) * p.width + column) * p.channels + channel);
      const Vector<T, kCount> weight = LoadVector<kCount>(weights, (ky * w.kernel_w + kx) * p.channels + channel);
#pragma unroll
      for (int i = 0; i < kCount; ++i) sum[i] += ToFloat(value[i]) * ToFloat(weight[i]);
    }
  }
  const uint32_t at = ((image * p.out_height + oy) * p.out_width + ox) * p.channels + channel;
  if (p.bias.elements) {
    const Global<const float> bias(p.bias);
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum[i] += bias[channel + i];
  }
  if (p.residual.elements) {
    const Vector<T, kCount> residual = LoadVector<kCount>(Global<const T>(p.residual), at);
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum[i] += ToFloat(residual[i]);
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) sum[i] = Activate(p.activation, sum[i]);
  StoreResults<T>(p.y, at, sum);
}

template <typename T>
__device__ __forceinline__ void DepthwiseAny(const DepthwiseParams& p) {
  if (p.channels % kVectorOf<T> == 0) Depthwise<T, kVectorOf<T>>(p);
  else Depthwise<T, 1>(p);
}

template <typename T, int kCount>
__device__ __forceinline__ void Pooled(const PoolParams& p) {
  uint32_t image = ThreadOfGrid();
  if (image >= p.threads) return;
  const uint32_t channel = Split(&image, p.by_vectors) * kCount, ox = Split(&image, p.by_out_width), oy = Split(&image, p.by_out_height);
  const WindowParams& w = p.window;
  const Global<const T> x(p.x);
  const bool is_max = p.op == Pool::kMax;
  float result[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) result[i] = is_max ? -Infinity() : 0.0f;
  uint32_t counted = 0;
  for (uint32_t ky = 0; ky < w.kernel_h; ++ky) {
    const uint32_t y = oy * w.stride_h + ky * w.dilation_h - w.pad_top;
    for (uint32_t kx = 0; kx < w.kernel_w; ++kx) {
      const uint32_t column = ox * w.stride_w + kx * w.dilation_w - w.pad_left;
      const bool is_inside = y < p.height && column < p.width;
      // Padding counts up to the pads' own end, not where a window hangs over it.
      const bool is_padding = p.count_padding && static_cast<int32_t>(y) < static_cast<int32_t>(p.height + w.pad_bottom) &&
                              static_cast<int32_t>(column) < static_cast<int32_t>(p.width + w.pad_right);
      counted += is_inside || is_padding;
      if (!is_inside) continue;
      const Vector<T, kCount> value = LoadVector<kCount>(x, ((image * p.height + y) * p.width + column) * p.channels + channel);
#pragma unroll
      for (int i = 0; i < kCount; ++i) result[i] = is_max ? Greater(result[i], ToFloat(value[i])) : result[i] + ToFloat(value[i]);
    }
  }
  const uint32_t at = ((image * p.out_height + oy) * p.out_width + ox) * p.channels + channel;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if (!is_max) result[i] /= static_cast<float>(counted);
    if (p.residual.elements) result[i] += ToFloat(Global<const T>(p.residual)[at + i]);
  }
  StoreResults<T>(p.y, at, result);
}

template <typename T>
__device__ __forceinline__ void PooledAny(const PoolParams& p) {
  if (p.channels % kVectorOf<T> == 0) Pooled<T, kVectorOf<T>>(p);
  else Pooled<T, 1>(p);
}

KERNEL(depthwise_f32, DepthwiseParams, 128) { DepthwiseAny<float>(p); }
KERNEL(depthwise_f16, DepthwiseParams, 128) { DepthwiseAny<half>(p); }
KERNEL(pool_f32, PoolParams, 256) { PooledAny<float>(p); }
KERNEL(pool_f16, PoolParams, 256) { PooledAny<half>(p); }

}  // namespace cuda
}  // namespace gapcam
