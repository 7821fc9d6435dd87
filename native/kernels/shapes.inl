// The tensors of a step and the sizes of a convolution, for every family.
namespace gapcam {
namespace {

// Sizes of a convolution: x is [batch,height,width,channels], y is [batch,out_height,out_width,features].
struct ConvShape {
  uint32_t batch, height, width, channels;
  uint32_t out_height, out_width, features;
};

// Outputs along one axis. The dilated kernel fits into the padded size; the plan's check has made sure.
GAPCAM_INLINE uint32_t OutSize(uint32_t size, uint32_t pads, uint32_t kernel, uint32_t stride, uint32_t dilation) {
  return (size + pads - dilation * (kernel - 1) - 1) / stride + 1;
}

// The shape of a conv2d step. Its output may be absent (only the pooled mean is wanted); the sizes then follow from x.
GAPCAM_INLINE ConvShape ShapeOf(const StepRef& step) {
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const TensorRef& x = *step.inputs[0];
  const TensorRef* y = step.output_count > 0 ? step.outputs[0] : nullptr;
  ConvShape s = {x.dims[0], x.dims[1], x.dims[2], x.dims[3], 0, 0, step.inputs[1]->dims[0]};
  s.out_height = y ? y->dims[1] : OutSize(s.height, p.pad_top + p.pad_bottom, p.kernel_h, p.stride_h, p.dilation_h);
  s.out_width = y ? y->dims[2] : OutSize(s.width, p.pad_left + p.pad_right, p.kernel_w, p.stride_w, p.dilation_w);
  return s;
}

// A tensor's elements, or null for an absent tensor; those of a constant or a mean, which are floats on every target.
GAPCAM_INLINE E* DataOf(const TensorRef* tensor) { return tensor ? static_cast<E*>(tensor->data) : nullptr; }
GAPCAM_INLINE float* FloatsOf(const TensorRef* tensor) { return tensor ? static_cast<float*>(tensor->data) : nullptr; }

// Copies floats to elements.
GAPCAM_INLINE void Convert(const float* from, size_t count, E* to) {
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<E>(from[i]);
}

// Input or output i of a step; null if it is absent or beyond the list.
GAPCAM_INLINE const TensorRef* InputAt(const StepRef& step, uint32_t i) {
  return i < step.input_count ? step.inputs[i] : nullptr;
}
GAPCAM_INLINE const TensorRef* OutputAt(const StepRef& step, uint32_t i) {
  return i < step.output_count ? step.outputs[i] : nullptr;
}

// The strides of an operand along y's five right-aligned dimensions, 0 where it is broadcast.
GAPCAM_INLINE void AlignedStrides(const TensorRef& tensor, uint32_t* strides) {
  uint32_t stride = 1;
  for (int i = 0; i < 5; ++i) {
    const uint32_t size = i < static_cast<int>(tensor.rank) ? tensor.dims[tensor.rank - 1 - i] : 1;
    strides[4 - i] = size == 1 ? 0 : stride;
    stride *= size;
  }
}

}  // namespace
}  // namespace gapcam
