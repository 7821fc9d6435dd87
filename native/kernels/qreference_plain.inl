// The other steps on bytes by their definition, and the choice of the op for any integer step.
namespace gapcam {
namespace {

// quantize: y = clamp(rint(x / scale) + zero point). A NaN gives the zero point.
class QuantizeReference final : public Op, public Placed {
 public:
  const float* x;
  QuantBytes y;
  float scale;
  QuantRange range;
  uint32_t count;

  uint32_t Units(uint32_t) const override { return CeilDiv(count, kElementsPerUnit); }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_quantize_reference"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * kElementsPerUnit, count);
    for (uint32_t i = first * kElementsPerUnit; i < end; ++i) {
      const float value = x[i] / scale;
      y.Put(i, value != value ? range.zero : RoundedByte(value, range));
    }
  }
};

static const Op* MakeQuantizeReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantizeReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantizeReference();
  const TensorRef& y = *step.outputs[0];
  op->x = DataOf(step.inputs[0]);
  op->y = BytesOf(&y), op->scale = y.scale, op->range = WholeRange(y), op->count = y.elements;
  return op;
}

// Any function of one byte, as the table of its 256 values: dequantize (to floats) and lookup (to bytes).
template <class Element>
class TableReference final : public Op, public Placed {
 public:
  const uint8_t* x;
  Element* y;
  Element table[256];
  uint32_t count;

  uint32_t Units(uint32_t) const override { return CeilDiv(count, kElementsPerUnit); }
  const char* Kernel() const override {
    return sizeof(Element) == 1 ? GAPCAM_KERNEL("q8_lookup_reference") : GAPCAM_KERNEL("q8_dequantize_reference");
  }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * kElementsPerUnit, count);
    for (uint32_t i = first * kElementsPerUnit; i < end; ++i) y[i] = table[x[i]];
  }
};

static const Op* MakeDequantizeReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(TableReference<float>));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) TableReference<float>();
  const TensorRef& x = *step.inputs[0];
  op->x = static_cast<const uint8_t*>(x.data), op->y = DataOf(step.outputs[0]), op->count = x.elements;
  for (int32_t i = 0; i < 256; ++i) {
    const int32_t q = x.type == PlanType::kInt8 ? static_cast<int8_t>(i) : i;
    op->table[i] = static_cast<float>(q - x.zero_point) * x.scale;
  }
  return op;
}

static const Op* MakeLookupReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(TableReference<uint8_t>));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) TableReference<uint8_t>();
  const TensorRef& x = *step.inputs[0];
  op->x = static_cast<const uint8_t*>(x.data), op->count = x.elements;
  op->y = static_cast<uint8_t*>(step.outputs[0]->data);
  std::memcpy(op->table, step.inputs[1]->data, sizeof(op->table));
  return op;
}

// qbinary. A unit is a row of the innermost dimension.
class QuantBinaryReference final : public Op, public Placed {
 public:
  QuantBytes x, z, y;
  uint32_t dims[5], x_stride[5], z_stride[5];
  bool is_product;
  QuantAddition addition;
  QuantRange range;
  float scale;     // of a product
  int32_t offset;  // makes bytes numbers from 0 to 255

  uint32_t Units(uint32_t) const override { return dims[0] * dims[1] * dims[2] * dims[3]; }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_binary_reference"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t row = first; row < last; ++row) {
      size_t x_at = 0, z_at = 0;
      uint32_t rest = row;
      for (int axis = 3; axis >= 0; rest /= dims[axis], --axis) {
        x_at += size_t{rest % dims[axis]} * x_stride[axis];
        z_at += size_t{rest % dims[axis]} * z_stride[axis];
      }
      for (uint32_t i = 0; i < dims[4]; ++i, x_at += x_stride[4], z_at += z_stride[4])
        y.Put(size_t{row} * dims[4] + i, Combine(x.At(x_at), z.At(z_at)));
    }
  }

 private:
  int32_t Combine(int32_t a, int32_t b) const {
    if (!is_product) return addition.Of(a, b);
    const float product = static_cast<float>((a - x.zero) * (b - z.zero)) * scale;
    return RoundedByte(product + static_cast<float>(range.zero + offset),
                       {0, range.low + offset, range.high + offset}) -
           offset;
  }
};

static const Op* MakeQuantBinaryReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantBinaryReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantBinaryReference();
  const auto& p = *static_cast<const QbinaryParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &z = *step.inputs[1], &y = *step.outputs[0];
  op->x = BytesOf(&x), op->z = BytesOf(&z), op->y = BytesOf(&y);
  for (uint32_t i = 0; i < 5; ++i) op->dims[4 - i] = i < y.rank ? y.dims[y.rank - 1 - i] : 1;
  AlignedStrides(x, op->x_stride);
  AlignedStrides(z, op->z_stride);
  op->is_product = p.op == Binary::kMul;
  op->addition = AdditionOf(CodeOf(x), CodeOf(z), y, p.low, p.high);
  op->offset = ToUnsigned(y.type);
  op->range = {y.zero_point, p.low, p.high};
  op->scale = x.scale * z.scale / y.scale;
  return op;
}

// qpool2d. A unit is a row of y.
class QuantPoolReference final : public Op, public Placed {
 public:
  Qpool2dParams p;
  QuantBytes x, y;
  uint32_t batch, height, width, channels, out_height, out_width;
  float x_scale, y_scale;
  QuantRange range;
  int32_t offset;  // makes bytes numbers from 0 to 255

  uint32_t Units(uint32_t) const override { return batch * out_height; }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_avgpool_reference"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t row = first; row < last; ++row)
      for (uint32_t ox = 0; ox < out_width; ++ox)
        for (uint32_t c = 0; c < channels; ++c) RunOne(row, ox, c);
  }

 private:
  void RunOne(uint32_t row, uint32_t ox, uint32_t c) const {
    float sum = 0;
    uint32_t inside = 0, counted = 0;
    for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
      const int64_t iy = int64_t{row % out_height} * p.stride_h - p.pad_top + int64_t{ky} * p.dilation_h;
      for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
        const int64_t ix = int64_t{ox} * p.stride_w - p.pad_left + int64_t{kx} * p.dilation_w;
        // As pool2d counts: a window beyond the padding (ceil_mode) has fewer elements.
        if (iy < int64_t{height} + p.pad_bottom && ix < int64_t{width} + p.pad_right) ++counted;
        if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
        const size_t pixel =
            (size_t{row / out_height} * height + static_cast<size_t>(iy)) * width + static_cast<size_t>(ix);
        sum += x_scale * static_cast<float>(x.At(pixel * channels + c) - x.zero);
        ++inside;
      }
    }
    // A dilated window may lie between the elements of a small input. Its mean is then 0.
    const uint32_t count = Most(1, p.count_padding ? counted : inside);
    const float number = sum / static_cast<float>(count) / y_scale + static_cast<float>(range.zero + offset);
    y.Put((size_t{row} * out_width + ox) * channels + c,
          RoundedByte(number, {0, range.low + offset, range.high + offset}) - offset);
  }
};

static const Op* MakeQuantPoolReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantPoolReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantPoolReference();
  op->p = *static_cast<const Qpool2dParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0];
  op->x = BytesOf(&x), op->y = BytesOf(&y), op->x_scale = x.scale, op->y_scale = y.scale;
  op->batch = x.dims[0], op->height = x.dims[1], op->width = x.dims[2], op->channels = x.dims[3];
  op->out_height = y.dims[1], op->out_width = y.dims[2];
  op->range = {y.zero_point, op->p.low, op->p.high}, op->offset = ToUnsigned(y.type);
  return op;
}

// qreduce. A unit is one result.
class QuantReduceReference final : public Op, public Placed {
 public:
  QreduceParams p;
  QuantBytes x, y;
  float scale;
  QuantRange range;

  uint32_t Units(uint32_t) const override { return p.outer * p.inner; }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_reduce_reference"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const size_t from = size_t{unit / p.inner} * p.length * p.inner + unit % p.inner;
      int32_t sum = 0;
      for (uint32_t l = 0; l < p.length; ++l) sum += x.At(from + size_t{l} * p.inner) - x.zero;
      y.Put(unit, RoundedByte(static_cast<float>(sum) * scale, range));
    }
  }
};

static const Op* MakeQuantReduceReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantReduceReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantReduceReference();
  op->p = *static_cast<const QreduceParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0];
  op->x = BytesOf(&x), op->y = BytesOf(&y);
  op->scale = x.scale / (y.scale * static_cast<float>(op->p.length));
  op->range = {y.zero_point, op->p.low, op->p.high};
  return op;
}

static const Op* MakeQuantReference(const StepRef& step, Allocator& memory, const char** reason) {
  switch (step.kind) {
    case StepKind::kQuantize: return MakeQuantizeReference(step, memory, reason);
    case StepKind::kDequantize: return MakeDequantizeReference(step, memory, reason);
    case StepKind::kQconv2d: return MakeQuantConvReference(step, memory, reason);
    case StepKind::kQdense: return MakeQuantDenseReference(step, memory, reason);
    case StepKind::kQbinary: return MakeQuantBinaryReference(step, memory, reason);
    case StepKind::kLookup: return MakeLookupReference(step, memory, reason);
    case StepKind::kQpool2d: return MakeQuantPoolReference(step, memory, reason);
    case StepKind::kQreduce: return MakeQuantReduceReference(step, memory, reason);
    case StepKind::kQchain: return MakeQuantChainReference(step, memory, reason);
    default: return Refuse(reason, "it is not an integer step");
  }
}

}  // namespace
}  // namespace gapcam
