// Functions of one element, and of two with broadcasting. One thread computes one element.
#include "activation.cuh"

namespace gapcam {
namespace cuda {

template <typename T>
__device__ __forceinline__ void ElementwiseEach(const ElementwiseKernelParams& p) {
  const uint32_t i = ThreadOfGrid();
  if (i >= p.elements) return;
  const Global<const T> x(p.x);
  StoreResult<T>(p.y, i, Activate(p.activation, ToFloat(x[i])));  // y may be x
}

__device__ __forceinline__ float Combine(Binary op, float x, float z) {
  switch (op) {
    case Binary::kAdd: return x + z;
    case Binary::kSub: return x - z;
    case Binary::kMul: return x * z;
    case Binary::kDiv: return x / z;
    case Binary::kMax: return Greater(x, z);
    case Binary::kMin: return Lesser(x, z);
    case Binary::kPow: return powf(x, z);
    case Binary::kPrelu: return x < 0 ? x * z : x;
  }
  return x;
}

template <typename T>
__device__ __forceinline__ void BinaryEach(const BinaryKernelParams& p) {
  const uint32_t i = ThreadOfGrid();
  if (i >= p.elements) return;
  uint32_t rest = i, x_at = 0, z_at = 0;
#pragma unroll
  for (int axis = 0; axis < 4; ++axis) {
    const uint32_t place = Split(&rest, p.dims[axis]);
    x_at += place * p.x_stride[axis];
    z_at += place * p.z_stride[axis];
  }
  const Global<const T> x(p.x), z(p.z);
  const float value = Combine(p.op, ToFloat(x[x_at + rest * p.x_stride[4]]), ToFloat(z[z_at + rest * p.z_stride[4]]));
  StoreResult<T>(p.y, i, Activate(p.activation, value));  // y may be x or z
}

// Across channels: y = x / (bias + alpha / size · Σ x²)^beta over `size` neighbours.
template <typename T>
__device__ __forceinline__ void LrnEach(const LrnKernelParams& p) {
  const uint32_t i = ThreadOfGrid();
  if (i >= p.elements) return;
  uint32_t pixel = i;
  const uint32_t channel = Split(&pixel, p.by_channels), before = (p.lrn.size - 1) / 2;
  const uint32_t first = channel > before ? channel - before : 0,
                 end = channel - before + p.lrn.size;  // both from the start of the channels
  const Global<const T> x(p.x);
  float sum = 0;
  for (uint32_t j = first; j < end && j < p.channels; ++j) {
    const float value = ToFloat(x[pixel * p.channels + j]);
    sum += value * value;
  }
  StoreResult<T>(p.y, i,
                 ToFloat(x[i]) / powf(p.lrn.bias + p.lrn.alpha / static_cast<float>(p.lrn.size) * sum, p.lrn.beta));
}

KERNEL(elementwise_f32, ElementwiseKernelParams, 256) { ElementwiseEach<float>(p); }
KERNEL(elementwise_f16, ElementwiseKernelParams, 256) { ElementwiseEach<half>(p); }
KERNEL(binary_f32, BinaryKernelParams, 256) { BinaryEach<float>(p); }
KERNEL(binary_f16, BinaryKernelParams, 256) { BinaryEach<half>(p); }
KERNEL(lrn_f32, LrnKernelParams, 256) { LrnEach<float>(p); }
KERNEL(lrn_f16, LrnKernelParams, 256) { LrnEach<half>(p); }

}  // namespace cuda
}  // namespace gapcam
