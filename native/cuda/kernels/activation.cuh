// Element-wise functions, and the end of a sum: bias, residual, activation. All are computed in single precision.
#pragma once
#include "device.h"

namespace gapcam {
namespace cuda {

// Maximum and minimum that keep NaN. A maximum that drops NaN could turn a broken picture into a plausible label.
__device__ __forceinline__ float Greater(float a, float b) { return a > b || a != a ? a : b; }
__device__ __forceinline__ float Lesser(float a, float b) { return a < b || a != a ? a : b; }

__device__ __forceinline__ float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// The rare functions are behind a call; Activate handles the frequent ones. All threads of a launch take the same
// branch.
__device__ NOINLINE float ActivateRare(const Activation& act, float x) {
  const float a = act.a, b = act.b;
  switch (act.op) {
    case Elementwise::kLeakyRelu: return x < 0 ? a * x : x;
    case Elementwise::kSigmoid: return Sigmoid(x);
    case Elementwise::kHardSigmoid: return Lesser(1.0f, Greater(0.0f, a * x + b));
    case Elementwise::kTanh: return tanhf(x);
    case Elementwise::kElu: return x < 0 ? a * expm1f(x) : x;
    case Elementwise::kSilu: return x * Sigmoid(x);
    case Elementwise::kGelu: return 0.5f * x * (1.0f + erff(x * 0.70710678118f));
    case Elementwise::kGeluTanh: return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    case Elementwise::kSoftplus: return Greater(x, 0.0f) + log1pf(expf(-fabsf(x)));
    case Elementwise::kExp: return expf(x);
    case Elementwise::kSqrt: return sqrtf(x);
    case Elementwise::kErf: return erff(x);
    case Elementwise::kLog: return logf(x);
    case Elementwise::kAbs: return fabsf(x);
    case Elementwise::kNeg: return -x;
    case Elementwise::kReciprocal: return 1.0f / x;
    case Elementwise::kFloor: return floorf(x);
    case Elementwise::kCeil: return ceilf(x);
    case Elementwise::kAffine: return a * x + b;
    case Elementwise::kPower: return powf(x, a);
    case Elementwise::kSelu: return b * (x < 0 ? a * expm1f(x) : x);
    case Elementwise::kSoftsign: return x / (1.0f + fabsf(x));
    default: return x;
  }
}

__device__ __forceinline__ float Activate(const Activation& act, float x) {
  if (act.op == Elementwise::kNone) return x;
  if (act.op == Elementwise::kRelu) return Greater(x, 0.0f);
  if (act.op == Elementwise::kClip) return Lesser(Greater(x, act.a), act.b);
  if (act.op == Elementwise::kHardSwish) return x * Lesser(1.0f, Greater(0.0f, x * (1.0f / 6) + 0.5f));
  return ActivateRare(act, x);
}

// y = activation(sum + bias + residual) for the sums of neighbouring features from `feature` on. `at` is the index of
// the first result in y and in the residual. The results also replace the sums, because y may be absent when only their
// mean is needed.
template <typename T, int kCount, typename Params>
__device__ __forceinline__ void FinishSums(const Params& p, uint32_t feature, uint32_t at, float (&sums)[kCount]) {
  if (p.bias.elements) {
    const Global<const float> bias(p.bias);
#pragma unroll
    for (int i = 0; i < kCount; ++i) sums[i] += bias[feature + i];
  }
  if (p.residual.elements) {
    const Vector<T, kCount> residual = LoadVector<kCount>(Global<const T>(p.residual), at);
#pragma unroll
    for (int i = 0; i < kCount; ++i) sums[i] += ToFloat(residual[i]);
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) sums[i] = Activate(p.activation, sums[i]);
  if (p.y.elements) StoreResults<T>(p.y, at, sums);
}
template <typename T, typename Params>
__device__ __forceinline__ void FinishSum(const Params& p, uint32_t feature, uint32_t at, float sum) {
  float sums[1] = {sum};
  FinishSums<T>(p, feature, at, sums);
}

}  // namespace cuda
}  // namespace gapcam
