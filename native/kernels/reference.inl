// Convolution and dense layers by their definition, one output after the other in double precision. Every other kernel
// is compared with them, and they run on processors that no other target supports.
namespace gapcam {
namespace {

// Copies weights or a bias (or null) into session memory, because the plan's buffer does not outlive the opening.
// Returns false when memory is short.
static bool CopyFloats(const TensorRef* tensor, Allocator& memory, const float** copy) {
  *copy = nullptr;
  if (!tensor) return true;
  auto* floats = static_cast<float*>(memory.Allocate(tensor->elements * sizeof(float)));
  if (floats) std::memcpy(floats, tensor->data, tensor->elements * sizeof(float));
  *copy = floats;
  return floats != nullptr;
}

// A conv2d step by its definition.
class ConvReference final : public Op, public Placed {
 public:
  Conv2dParams p;
  ConvShape s;
  const float *x, *weights, *bias, *residual;
  float *y, *pooled;
  Activation act;

  uint32_t Phases() const override { return pooled ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override { return phase == 0 ? s.batch * s.out_height : s.batch * s.features; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_conv_reference"); }
  uint64_t Flops() const override {
    return 2ull * s.batch * s.out_height * s.out_width * s.features * (s.channels / p.groups) * p.kernel_h * p.kernel_w;
  }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      if (phase == 1)
        pooled[unit] = Mean(unit / s.features, unit % s.features);
      else
        for (uint32_t ox = 0; ox < s.out_width; ++ox) RunPixel(unit / s.out_height, unit % s.out_height, ox);
    }
  }

 private:
  void RunPixel(uint32_t image, uint32_t oy, uint32_t ox) const {
    const size_t at = ((static_cast<size_t>(image) * s.out_height + oy) * s.out_width + ox) * s.features;
    for (uint32_t o = 0; o < s.features; ++o) {
      const float sum = Convolve(image, oy, ox, o) + (bias ? bias[o] : 0.0f) + (residual ? residual[at + o] : 0.0f);
      y[at + o] = Activate(act, Set(sum))[0];
    }
  }

  float Convolve(uint32_t image, uint32_t oy, uint32_t ox, uint32_t o) const {
    const uint32_t c = s.channels / p.groups, first = o / (s.features / p.groups) * c;
    double sum = 0;
    for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
      const int64_t iy = static_cast<int64_t>(oy) * p.stride_h - p.pad_top + static_cast<int64_t>(ky) * p.dilation_h;
      if (iy < 0 || iy >= s.height) continue;
      for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
        const int64_t ix = static_cast<int64_t>(ox) * p.stride_w - p.pad_left + static_cast<int64_t>(kx) * p.dilation_w;
        if (ix < 0 || ix >= s.width) continue;
        const float* pixel = x + ((static_cast<size_t>(image) * s.height + iy) * s.width + ix) * s.channels + first;
        const float* w = weights + (static_cast<size_t>(o) * c * p.kernel_h + ky) * p.kernel_w + kx;
        for (uint32_t i = 0; i < c; ++i)
          sum += static_cast<double>(pixel[i]) * w[static_cast<size_t>(i) * p.kernel_h * p.kernel_w];
      }
    }
    return static_cast<float>(sum);
  }

  float Mean(uint32_t image, uint32_t o) const {
    const uint32_t area = s.out_height * s.out_width;
    double sum = 0;
    for (uint32_t i = 0; i < area; ++i) sum += y[(static_cast<size_t>(image) * area + i) * s.features + o];
    return static_cast<float>(sum / area);
  }
};

static const Op* MakeConvReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ConvReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ConvReference();
  op->p = *static_cast<const Conv2dParams*>(step.params);
  op->s = ShapeOf(step);
  op->x = DataOf(step.inputs[0]);
  if (!CopyFloats(step.inputs[1], memory, &op->weights) || !CopyFloats(InputAt(step, 2), memory, &op->bias))
    return GAPCAM_NO_MEMORY;
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(OutputAt(step, 0));
  op->pooled = DataOf(OutputAt(step, 1));
  const size_t bytes =
      static_cast<size_t>(op->s.batch) * op->s.out_height * op->s.out_width * op->s.features * sizeof(float);
  if (!op->y) op->y = static_cast<float*>(memory.Allocate(bytes));
  if (!op->y) return GAPCAM_NO_MEMORY;
  op->act = MakeActivation(op->p.activation, op->p.a, op->p.b);
  return op;
}

// A dense step by its definition.
class DenseReference final : public Op, public Placed {
 public:
  DenseParams p;
  const float *x, *weights, *bias, *residual;
  float* y;
  uint32_t rows, depth, columns;
  Activation act;

  uint32_t Units(uint32_t) const override { return rows; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_dense_reference"); }
  uint64_t Flops() const override { return 2ull * rows * depth * columns; }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t m = first; m < last; ++m) {
      for (uint32_t n = 0; n < columns; ++n) {
        double sum = 0;
        for (uint32_t k = 0; k < depth; ++k) {
          const size_t at = p.transposed ? static_cast<size_t>(n) * depth + k : static_cast<size_t>(k) * columns + n;
          sum += static_cast<double>(x[static_cast<size_t>(m) * depth + k]) * weights[at];
        }
        const size_t at = static_cast<size_t>(m) * columns + n;
        const float value = static_cast<float>(sum) + (bias ? bias[n] : 0.0f) + (residual ? residual[at] : 0.0f);
        y[at] = Activate(act, Set(value))[0];
      }
    }
  }
};

static const Op* MakeDenseReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(DenseReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) DenseReference();
  op->p = *static_cast<const DenseParams*>(step.params);
  const TensorRef& w = *step.inputs[1];
  op->depth = w.dims[op->p.transposed ? 1 : 0];
  op->columns = w.dims[op->p.transposed ? 0 : 1];
  op->rows = step.inputs[0]->elements / op->depth;
  op->x = DataOf(step.inputs[0]);
  if (!CopyFloats(&w, memory, &op->weights) || !CopyFloats(InputAt(step, 2), memory, &op->bias))
    return GAPCAM_NO_MEMORY;
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(step.outputs[0]);
  op->act = MakeActivation(op->p.activation, op->p.a, op->p.b);
  return op;
}

}  // namespace
}  // namespace gapcam
