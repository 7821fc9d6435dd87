// Convolutions, dense layers and chains of bytes by their definition, one output after the other. Every other integer
// kernel is compared with them bit for bit, and a target without a kernel of its own for a step uses them.
//
// src/model/quantized-steps.ts has the arithmetic. The build must not merge a multiplication with the addition that
// follows it (CMakeLists.txt), so only the reference target compiles this file.
namespace gapcam {
namespace {

// The bytes of a tensor of either type.
struct QuantBytes {
  uint8_t* data;  // null: the tensor is absent
  bool is_signed;
  int32_t zero;

  int32_t At(size_t i) const { return is_signed ? static_cast<int8_t>(data[i]) : data[i]; }
  void Put(size_t i, int32_t value) const { data[i] = static_cast<uint8_t>(value); }
  explicit operator bool() const { return data; }
};

GAPCAM_INLINE QuantBytes BytesOf(const TensorRef* tensor) {
  if (!tensor) return {nullptr, false, 0};
  return {static_cast<uint8_t*>(tensor->data), tensor->type == PlanType::kInt8, tensor->zero_point};
}

// The zero point and the range of a result.
struct QuantRange {
  int32_t zero, low, high;
};

// The range of a tensor's type.
GAPCAM_INLINE QuantRange WholeRange(const TensorRef& tensor) {
  const int32_t least = tensor.type == PlanType::kInt8 ? -128 : 0;
  return {tensor.zero_point, least, least + 255};
}

// clamp(rint(value) + zero). The float is clamped first, because it may be too large for an integer.
GAPCAM_INLINE int32_t RoundedByte(float value, const QuantRange& range) {
  const auto low = static_cast<float>(range.low - range.zero), high = static_cast<float>(range.high - range.zero);
  const float clamped = value < low ? low : value > high ? high : value;
  return static_cast<int32_t>(__builtin_lrintf(clamped)) + range.zero;
}

// What makes a byte of a type a number from 0 to 255.
GAPCAM_INLINE int32_t ToUnsigned(PlanType type) { return type == PlanType::kInt8 ? 128 : 0; }

GAPCAM_INLINE QuantCode CodeOf(const TensorRef& tensor) { return {tensor.scale, tensor.zero_point}; }

// The addition of two tensors. `offset` makes their bytes numbers from 0 to 255, on which it is defined.
struct QuantAddition {
  float a_scale, b_scale, shift;
  int32_t offset, low, high;

  int32_t Of(int32_t a, int32_t b) const {
    const float second = __builtin_fmaf(static_cast<float>(b + offset), b_scale, shift);
    const float sum = __builtin_fmaf(static_cast<float>(a + offset), a_scale, second);
    return RoundedByte(sum, {0, low + offset, high + offset}) - offset;
  }
};

GAPCAM_INLINE QuantAddition AdditionOf(const QuantCode& a, const QuantCode& b, const TensorRef& y, int32_t low,
                                       int32_t high) {
  const int32_t offset = ToUnsigned(y.type);
  const float p = a.scale / y.scale, q = b.scale / y.scale;
  const float zeros = __builtin_fmaf(p, static_cast<float>(a.zero + offset), q * static_cast<float>(b.zero + offset));
  return {p, q, static_cast<float>(y.zero_point + offset) - zeros, offset, low, high};
}

// What becomes of a sum of products.
struct QuantEndReference {
  QuantRange range;
  QuantBytes residual;
  QuantAddition addition;  // with a residual; `range` is then that of the middle
  bool is_residual_first;

  int32_t Of(int32_t sum, float scale, size_t at) const {
    const int32_t q = RoundedByte(static_cast<float>(sum) * scale, range);
    if (!residual) return q;
    return is_residual_first ? addition.Of(residual.At(at), q) : addition.Of(q, residual.At(at));
  }
};

template <class Params>
static QuantEndReference EndReferenceOf(const Params& p, const TensorRef* residual, const TensorRef& y) {
  if (!residual) return {{y.zero_point, p.low, p.high}, BytesOf(nullptr), {}, false};
  const QuantCode middle = {p.middle_scale, p.middle_zero}, other = CodeOf(*residual);
  const bool is_first = p.residual_first != 0;
  return {{p.middle_zero, p.middle_low, p.middle_high},
          BytesOf(residual),
          AdditionOf(is_first ? other : middle, is_first ? middle : other, y, p.low, p.high),
          is_first};
}

// Σ (x - zero) · w over `count` bytes.
template <class Byte>
GAPCAM_INLINE int32_t DotOf(const Byte* x, int32_t zero, const int16_t* w, uint32_t count) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < count; ++i) sum += (static_cast<int32_t>(x[i]) - zero) * w[i];
  return sum;
}

GAPCAM_INLINE int32_t Dot(const QuantBytes& x, size_t at, const int16_t* w, uint32_t count) {
  return x.is_signed ? DotOf(reinterpret_cast<const int8_t*>(x.data) + at, x.zero, w, count)
                     : DotOf(x.data + at, x.zero, w, count);
}

// Constants of a product, copied into session memory. Weights count from their zero point and lie in the order in which
// they meet x: [features][positions][channels].
struct QuantProduct {
  const int16_t* weights;
  const int32_t* bias;  // or null
  const float* scales;

  int32_t Bias(uint32_t feature) const { return bias ? bias[feature] : 0; }
};

template <class Element>
static bool CopyElements(const TensorRef* tensor, Allocator& memory, const Element** copy) {
  *copy = nullptr;
  if (!tensor) return true;
  auto* elements = static_cast<Element*>(memory.Allocate(tensor->elements * sizeof(Element)));
  if (elements) std::memcpy(elements, tensor->data, tensor->elements * sizeof(Element));
  *copy = elements;
  return elements != nullptr;
}

// The plan has the weights as [features][channels][positions]. Returns false when memory is short.
static bool MakeQuantProduct(const TensorRef& w, const TensorRef* bias, const TensorRef& scales, uint32_t features,
                             uint32_t channels, uint32_t positions, Allocator& memory, QuantProduct* product) {
  auto* weights = static_cast<int16_t*>(memory.Allocate(w.elements * sizeof(int16_t)));
  product->weights = weights;
  if (!weights || !CopyElements(bias, memory, &product->bias) || !CopyElements(&scales, memory, &product->scales))
    return false;
  const QuantBytes from = BytesOf(&w);
  for (uint32_t f = 0; f < features; ++f) {
    for (uint32_t i = 0; i < positions; ++i) {
      for (uint32_t c = 0; c < channels; ++c)
        *weights++ = static_cast<int16_t>(from.At((size_t{f} * channels + c) * positions + i) - from.zero);
    }
  }
  return true;
}

// The window of a step as a convolution without groups.
template <class Params>
GAPCAM_INLINE Conv2dParams WindowFrom(const Params& p) {
  return {p.kernel_h,  p.kernel_w,   p.stride_h,   p.stride_w, p.pad_top,          p.pad_left, p.pad_bottom,
          p.pad_right, p.dilation_h, p.dilation_w, 1,          Elementwise::kNone, 0,          0};
}

// One convolution of bytes.
class QuantConvolution {
 public:
  Conv2dParams p;  // the window and the groups
  ConvShape s;
  QuantBytes x, y;
  QuantProduct product;
  QuantEndReference end;

  uint32_t Rows() const { return s.batch * s.out_height; }
  uint64_t Flops() const {
    return 2ull * Rows() * s.out_width * s.features * (s.channels / p.groups) * p.kernel_h * p.kernel_w;
  }

  void RunRow(uint32_t row) const {
    for (uint32_t ox = 0; ox < s.out_width; ++ox) {
      const size_t at = (size_t{row} * s.out_width + ox) * s.features;
      for (uint32_t o = 0; o < s.features; ++o)
        y.Put(at + o, end.Of(SumAt(row / s.out_height, row % s.out_height, ox, o), product.scales[o], at + o));
    }
  }

 private:
  // Padding is the zero point, so it adds nothing. The bias comes last: the sum before it is in range by itself.
  int32_t SumAt(uint32_t image, uint32_t oy, uint32_t ox, uint32_t o) const {
    const uint32_t c = s.channels / p.groups, group = o / (s.features / p.groups);
    int32_t sum = 0;
    for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
      const int64_t iy = int64_t{oy} * p.stride_h - p.pad_top + int64_t{ky} * p.dilation_h;
      if (iy < 0 || iy >= s.height) continue;
      for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
        const int64_t ix = int64_t{ox} * p.stride_w - p.pad_left + int64_t{kx} * p.dilation_w;
        if (ix < 0 || ix >= s.width) continue;
        const size_t pixel = (size_t{image} * s.height + static_cast<size_t>(iy)) * s.width + static_cast<size_t>(ix);
        const size_t position = (size_t{o} * p.kernel_h + ky) * p.kernel_w + kx;
        sum += Dot(x, pixel * s.channels + group * c, product.weights + position * c, c);
      }
    }
    return sum + product.Bias(o);
  }
};

// The mean of y over H and W.
class QuantMeanReference {
 public:
  QuantBytes y, pooled;
  uint32_t area, features;
  QuantRange range;
  float scale;

  void SetUp(const TensorRef& from, const TensorRef* to) {
    y = BytesOf(&from), pooled = BytesOf(to);
    if (!to) return;
    area = from.dims[1] * from.dims[2], features = from.dims[3];
    range = WholeRange(*to);
    scale = from.scale / (to->scale * static_cast<float>(area));
  }

  void RunUnit(uint32_t unit) const {
    const size_t first = size_t{unit / features} * area * features + unit % features;
    int32_t sum = 0;
    for (uint32_t i = 0; i < area; ++i) sum += y.At(first + size_t{i} * features) - y.zero;
    pooled.Put(unit, RoundedByte(static_cast<float>(sum) * scale, range));
  }
};

// A qconv2d step. A unit is a row of y, then a mean.
class QuantConvReference final : public Op, public Placed {
 public:
  QuantConvolution conv;
  QuantMeanReference mean;

  uint32_t Phases() const override { return mean.pooled ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override { return phase == 0 ? conv.Rows() : conv.s.batch * conv.s.features; }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_conv_reference"); }
  uint64_t Flops() const override { return conv.Flops(); }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) phase == 0 ? conv.RunRow(unit) : mean.RunUnit(unit);
  }
};

static const Op* MakeQuantConvReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantConvReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantConvReference();
  const auto& p = *static_cast<const Qconv2dParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &w = *step.inputs[1], &y = *step.outputs[0];
  QuantConvolution& conv = op->conv;
  conv.p = WindowFrom(p);
  conv.p.groups = p.groups;
  conv.s = {x.dims[0], x.dims[1], x.dims[2], x.dims[3], y.dims[1], y.dims[2], y.dims[3]};
  conv.x = BytesOf(&x), conv.y = BytesOf(&y);
  conv.end = EndReferenceOf(p, InputAt(step, 4), y);
  op->mean.SetUp(y, OutputAt(step, 1));
  return MakeQuantProduct(w, InputAt(step, 2), *step.inputs[3], w.dims[0], w.dims[1], p.kernel_h * p.kernel_w, memory,
                          &conv.product)
             ? op
             : GAPCAM_NO_MEMORY;
}

// A qdense step. A unit is a row of x.
class QuantDenseReference final : public Op, public Placed {
 public:
  QuantBytes x, y;
  uint32_t rows, depth, columns;
  QuantProduct product;
  QuantEndReference end;

  uint32_t Units(uint32_t) const override { return rows; }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_dense_reference"); }
  uint64_t Flops() const override { return 2ull * rows * depth * columns; }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t m = first; m < last; ++m) {
      for (uint32_t n = 0; n < columns; ++n) {
        const int32_t sum = Dot(x, size_t{m} * depth, product.weights + size_t{n} * depth, depth) + product.Bias(n);
        const size_t at = size_t{m} * columns + n;
        y.Put(at, end.Of(sum, product.scales[n], at));
      }
    }
  }
};

static const Op* MakeQuantDenseReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantDenseReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantDenseReference();
  const auto& p = *static_cast<const QdenseParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &w = *step.inputs[1], &y = *step.outputs[0];
  op->depth = w.dims[p.transposed ? 1 : 0], op->columns = w.dims[p.transposed ? 0 : 1];
  op->rows = x.elements / op->depth;
  op->x = BytesOf(&x), op->y = BytesOf(&y);
  op->end = EndReferenceOf(p, InputAt(step, 4), y);
  // [depth][columns] are one feature's channels and positions: MakeQuantProduct then transposes them.
  const bool is_made =
      p.transposed
          ? MakeQuantProduct(w, InputAt(step, 2), *step.inputs[3], op->columns, op->depth, 1, memory, &op->product)
          : MakeQuantProduct(w, InputAt(step, 2), *step.inputs[3], 1, op->depth, op->columns, memory, &op->product);
  return is_made ? op : GAPCAM_NO_MEMORY;
}

}  // namespace
}  // namespace gapcam
