// Steps that move elements: strided copies, concatenation, resampling along an axis, and the conversion between the
// host's floats and the network's elements. One thread moves one element.
#include "device.h"

namespace gapcam {
namespace cuda {

// Five nested loops, the innermost first. A stride in x may be 0 (repeats elements) or negative (reverses an axis).
template <typename T>
__device__ __forceinline__ void CopyEach(const CopyKernelParams& p) {
  uint32_t rest = ThreadOfGrid();
  if (rest >= p.elements) return;
  int32_t from = static_cast<int32_t>(p.in_offset), to = static_cast<int32_t>(p.out_offset);
#pragma unroll
  for (int axis = 0; axis < 4; ++axis) {
    const auto place = static_cast<int32_t>(Split(&rest, p.dims[axis]));
    from += place * p.in_stride[axis];
    to += place * p.out_stride[axis];
  }
  from += static_cast<int32_t>(rest) * p.in_stride[4];
  to += static_cast<int32_t>(rest) * p.out_stride[4];
  const Global<const T> x(p.x);
  const Global<T> y(p.y);
  y[static_cast<uint32_t>(to)] = x[static_cast<uint32_t>(from)];
}

template <typename T>
__device__ __forceinline__ void FillEach(const FillParams& p) {
  const uint32_t i = ThreadOfGrid();
  if (i >= p.y.elements) return;
  const Global<T> y(p.y);
  y[i] = FromFloat<T>(p.value);
}

// The tensor that holds element `at` of the row.
__device__ __forceinline__ int TensorAt(const uint32_t (&first)[kConcatTensors + 1], uint32_t at) {
  int tensor = 0;
#pragma unroll
  for (int i = 1; i < static_cast<int>(kConcatTensors); ++i) tensor += at >= first[i];
  return tensor;
}

// One thread for each element of the inputs. Elements that go to none of this launch's outputs belong to another
// launch. The inputs' rows together form one row [groups][length of a group], which is written transposed: the channel
// shuffle of ShuffleNet. With one group the order stays.
template <typename T>
__device__ __forceinline__ void ConcatEach(const ConcatKernelParams& p) {
  uint32_t outer = ThreadOfGrid();
  if (outer >= p.elements) return;
  const uint32_t from = p.in_first[0] + Split(&outer, p.by_span);
  uint32_t group = from;
  const uint32_t to = Split(&group, p.by_group_length) * p.groups + group;
  if (to < p.out_first[0] || to >= p.out_first[kConcatTensors]) return;
  const int input = TensorAt(p.in_first, from), output = TensorAt(p.out_first, to);
  const uint32_t in_row = p.in_first[input + 1] - p.in_first[input],
                 out_row = p.out_first[output + 1] - p.out_first[output];
  const Global<const T> x(p.inputs[input]);
  const Global<T> y(p.outputs[output]);
  y[outer * out_row + to - p.out_first[output]] = x[outer * in_row + from - p.in_first[input]];
}

// y[outer][j][inner] = Σ over taps: weights[j][tap] · x[outer][indices[j][tap]][inner]
template <typename T>
__device__ __forceinline__ void ResampleEach(const ResampleKernelParams& p) {
  uint32_t outer = ThreadOfGrid();
  if (outer >= p.elements) return;
  const uint32_t at = outer, inner = Split(&outer, p.by_inner), j = Split(&outer, p.by_out_length);
  const Global<const T> x(p.x);
  const Global<const int32_t> indices(p.indices);
  const Global<const float> weights(p.weights);
  float sum = 0;
  for (uint32_t tap = j * p.taps; tap < (j + 1) * p.taps; ++tap) {
    sum += weights[tap] * ToFloat(x[(outer * p.in_length + static_cast<uint32_t>(indices[tap])) * p.inner + inner]);
  }
  StoreResult<T>(p.y, at, sum);
}

template <typename From, typename To>
__device__ __forceinline__ void ConvertEach(const ConvertParams& p) {
  const uint32_t i = ThreadOfGrid();
  if (i >= p.elements) return;
  const Global<const From> x(p.x);
  const Global<To> y(p.y);
  y[i] = FromFloat<To>(ToFloat(x[i]));
}

KERNEL(copy_f32, CopyKernelParams, 256) { CopyEach<float>(p); }
KERNEL(copy_f16, CopyKernelParams, 256) { CopyEach<half>(p); }
KERNEL(fill_f32, FillParams, 256) { FillEach<float>(p); }
KERNEL(fill_f16, FillParams, 256) { FillEach<half>(p); }
KERNEL(concat_f32, ConcatKernelParams, 256) { ConcatEach<float>(p); }
KERNEL(concat_f16, ConcatKernelParams, 256) { ConcatEach<half>(p); }
KERNEL(resample_f32, ResampleKernelParams, 256) { ResampleEach<float>(p); }
KERNEL(resample_f16, ResampleKernelParams, 256) { ResampleEach<half>(p); }
KERNEL(take_input_f32, ConvertParams, 256) { ConvertEach<float, float>(p); }
KERNEL(take_input_f16, ConvertParams, 256) { ConvertEach<float, half>(p); }
KERNEL(give_output_f32, ConvertParams, 256) { ConvertEach<float, float>(p); }
KERNEL(give_output_f16, ConvertParams, 256) { ConvertEach<half, float>(p); }

}  // namespace cuda
}  // namespace gapcam
