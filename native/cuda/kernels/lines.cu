// Operations along the lines of a tensor, in single precision: reductions (global average pooling is one), softmax and
// normalization.
//
// A tensor is [outer][length][inner]. Groups of `inner_lanes` lanes of a warp take neighbouring lines, so that their
// loads are contiguous. The lanes that share one line split its length and combine their parts by butterfly shuffles.
//
//   inner 1:    32 lanes on one line                inner ≥ 32, as with GAP:   8 lines · 4 lanes
#include "activation.cuh"

namespace gapcam {
namespace cuda {

struct Line {
  uint32_t first, step, at, stride;  // element l is at `first + l · step`; this lane takes l = at, at + stride, …
  uint32_t result;                   // the index of the line
  bool is_there;                     // false for lanes after the last line, which only take part in shuffles
};

__device__ __forceinline__ Line FindLine(const LineParams& p, uint32_t warp) {
  const uint32_t lane = threadIdx.x % 32;
  uint32_t outer = warp;
  const uint32_t inner = Split(&outer, p.by_inner_groups) * p.inner_lanes + lane % p.inner_lanes;
  return {outer * p.length * p.inner + inner,
          p.inner,
          lane / p.inner_lanes,
          32 / p.inner_lanes,
          outer * p.inner + inner,
          inner < p.inner};
}

__device__ __forceinline__ float Combine(Reduce op, float a, float b) {
  if (op == Reduce::kMax) return Greater(a, b);
  if (op == Reduce::kMin) return Lesser(a, b);
  return op == Reduce::kProd ? a * b : a + b;
}

// Combines the values of all lanes of a line. Every lane gets the result.
__device__ __forceinline__ float CombineLanes(const LineParams& p, Reduce op, float value) {
  for (uint32_t mask = p.inner_lanes; mask < 32; mask *= 2)
    value = Combine(op, value, ShuffleXor(value, static_cast<int>(mask)));
  return value;
}

// The neutral element of an operation.
__device__ __forceinline__ float Identity(Reduce op) {
  if (op == Reduce::kMax) return -Infinity();
  if (op == Reduce::kMin) return Infinity();
  return op == Reduce::kProd ? 1.0f : 0.0f;
}

// Combines f(element) over the whole line.
template <typename T, typename Function>
__device__ __forceinline__ float Along(const LineParams& p, const Line& line, Reduce op, const Global<const T>& x,
                                       const Function& f) {
  float value = Identity(op);
  if (line.is_there) {
    for (uint32_t l = line.at; l < p.length; l += line.stride)
      value = Combine(op, value, f(ToFloat(x[line.first + l * line.step])));
  }
  return CombineLanes(p, op, value);
}

// y = f(x) along the line.
template <typename T, typename Function>
__device__ __forceinline__ void Map(const LineParams& p, const Line& line, const Global<const T>& x,
                                    const Function& f) {
  if (!line.is_there) return;
  for (uint32_t l = line.at; l < p.length; l += line.stride)
    StoreResult<T>(p.y, line.first + l * line.step, f(ToFloat(x[line.first + l * line.step])));
}

template <typename T>
__device__ __forceinline__ void ReduceLine(const LineParams& p) {
  const uint32_t warp = WarpOfGrid();
  if (warp >= p.groups_of_lines) return;
  const Line line = FindLine(p, warp);
  const auto op = static_cast<Reduce>(p.op);
  const Global<const T> x(p.x);
  float value = Along(p, line, op, x, [op](float v) {
    if (op == Reduce::kL1) return fabsf(v);
    return op == Reduce::kL2 || op == Reduce::kSumSquare ? v * v : v;
  });
  if (op == Reduce::kMean) value /= static_cast<float>(p.length);
  if (op == Reduce::kL2) value = sqrtf(value);
  if (line.is_there && line.at == 0) StoreResult<T>(p.y, line.result, value);
}

template <typename T>
__device__ __forceinline__ void SoftmaxLine(const LineParams& p) {
  const uint32_t warp = WarpOfGrid();
  if (warp >= p.groups_of_lines) return;
  const Line line = FindLine(p, warp);
  const Global<const T> x(p.x);
  const float greatest = Along(p, line, Reduce::kMax, x, [](float v) { return v; });
  const float sum = Along(p, line, Reduce::kSum, x, [greatest](float v) { return expf(v - greatest); });
  if (p.op) {
    const float logarithm = greatest + logf(sum);
    Map(p, line, x, [logarithm](float v) { return v - logarithm; });
  } else {
    Map(p, line, x, [greatest, sum](float v) { return expf(v - greatest) / sum; });
  }
}

template <typename T>
__device__ __forceinline__ void NormalizeLine(const LineParams& p) {
  const uint32_t warp = WarpOfGrid();
  if (warp >= p.groups_of_lines) return;
  const Line line = FindLine(p, warp);
  const Global<const T> x(p.x);
  const bool is_absolute = p.op == 1;
  const float sum = Along(p, line, Reduce::kSum, x, [is_absolute](float v) { return is_absolute ? fabsf(v) : v * v; });
  const float norm = is_absolute ? sum : sqrtf(sum);
  Map(p, line, x, [norm](float v) { return norm == 0 ? 0.0f : v / norm; });
}

KERNEL(reduce_f32, LineParams, 128) { ReduceLine<float>(p); }
KERNEL(reduce_f16, LineParams, 128) { ReduceLine<half>(p); }
KERNEL(softmax_f32, LineParams, 128) { SoftmaxLine<float>(p); }
KERNEL(softmax_f16, LineParams, 128) { SoftmaxLine<half>(p); }
KERNEL(lp_normalization_f32, LineParams, 128) { NormalizeLine<float>(p); }
KERNEL(lp_normalization_f16, LineParams, 128) { NormalizeLine<half>(p); }

}  // namespace cuda
}  // namespace gapcam
