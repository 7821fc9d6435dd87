// quantize and qbinary: floats to bytes, and sums and products of bytes with broadcasting.
namespace gapcam {
namespace {

constexpr uint32_t kBytesPerUnit = 16384;

// quantize: y = clamp(rint(x / scale) + zero). A NaN gives the zero point.
class Quantize final : public Op, public Placed {
 public:
  const float* x;
  Byte* y;
  uint32_t count;
  float scale;
  int32_t zero;

  uint32_t Units(uint32_t) const override { return CeilDiv(count, kBytesPerUnit); }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_quantize"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * kBytesPerUnit, count);
    uint32_t i = first * kBytesPerUnit;
    for (; i + kLanes <= end; i += kLanes) StoreBytes(y + i, Quantized(Load(x + i)));
    if (i == end) return;
    Byte rest[kLanes];
    StoreBytes(rest, Quantized(LoadN(x + i, static_cast<int>(end - i))));
    std::memcpy(y + i, rest, end - i);
  }

 private:
  GAPCAM_MEMBER V Quantized(V v) const {
    const V quotient = v / Set(scale);
    const V steps = Within(quotient, static_cast<float>(kLeastByte - zero), static_cast<float>(kMostByte - zero));
    return RoundEven(Select(quotient == quotient, steps, Zero())) + Set(static_cast<float>(zero));
  }
};

static const Op* MakeQuantize(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Quantize));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Quantize();
  const TensorRef& y = *step.outputs[0];
  op->x = DataOf(step.inputs[0]), op->y = BytesOf(&y);
  op->count = y.elements, op->scale = y.scale, op->zero = y.zero_point;
  return op;
}

// y = clamp(rint((a - a_zero) · (b - b_zero) · scale + zero)); zero, low and high are numbers from 0 to 255.
struct ProductEnd {
  float a_zero, b_zero, scale, zero, low, high;
};

// A run of elements along y's last axis.
struct ByteRun {
  const Byte *a, *b;
  Byte* y;
  uint32_t count;
  bool a_is_one, b_is_one;  // one element serves the whole run
};

// y = body(a, b), kLanes at a time. y may be a or b.
template <class Body>
GAPCAM_INLINE void CombineRun(const ByteRun& run, const Body& body) {
  const V one_a = Set(run.a[0]), one_b = Set(run.b[0]);
  uint32_t i = 0;
  for (; i + kLanes <= run.count; i += kLanes)
    StoreBytes(run.y + i,
               body(run.a_is_one ? one_a : LoadBytes(run.a + i), run.b_is_one ? one_b : LoadBytes(run.b + i)));
  if (i == run.count) return;
  Byte rest[3][kLanes] = {};
  std::memcpy(rest[0], run.a + (run.a_is_one ? 0 : i), run.a_is_one ? 1 : run.count - i);
  std::memcpy(rest[1], run.b + (run.b_is_one ? 0 : i), run.b_is_one ? 1 : run.count - i);
  StoreBytes(rest[2], body(run.a_is_one ? one_a : LoadBytes(rest[0]), run.b_is_one ? one_b : LoadBytes(rest[1])));
  std::memcpy(run.y + i, rest[2], run.count - i);
}

// qbinary. Dimensions over which both operands advance in the same way are merged into the last one.
class QuantBinary final : public Op, public Placed {
 public:
  const Byte *x, *z;
  Byte* y;
  uint32_t dims[5], x_stride[5], z_stride[5], rows, rows_per_unit;
  bool is_product;
  ResidualEnd sum;
  ProductEnd product;

  uint32_t Units(uint32_t) const override { return CeilDiv(rows, rows_per_unit); }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_binary"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t row = first * rows_per_unit; row < Least(last * rows_per_unit, rows); ++row) {
      size_t x_at = 0, z_at = 0;
      uint32_t rest = row;
      for (int axis = 3; axis >= 0; rest /= dims[axis], --axis) {
        x_at += size_t{rest % dims[axis]} * x_stride[axis];
        z_at += size_t{rest % dims[axis]} * z_stride[axis];
      }
      RunRow({x + x_at, z + z_at, y + size_t{row} * dims[4], dims[4], x_stride[4] == 0, z_stride[4] == 0});
    }
  }

 private:
  void RunRow(const ByteRun& run) const {
    if (!is_product) {
      const ResidualEnd end = sum;  // a copy, which no store of a byte can change
      return CombineRun(run, [&](V a, V b) __attribute__((always_inline)) { return AddedBytes(end, a, b); });
    }
    const ProductEnd end = product;
    CombineRun(run, [&](V a, V b) __attribute__((always_inline)) {
      const V whole = (a - Set(end.a_zero)) * (b - Set(end.b_zero));
      return RoundedBytes(Within(Rounded(Rounded(whole * Set(end.scale)) + Set(end.zero)), end.low, end.high));
    });
  }
};

static const Op* MakeQuantBinary(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantBinary));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantBinary();
  const auto& p = *static_cast<const QbinaryParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &z = *step.inputs[1], &y = *step.outputs[0];
  op->x = BytesOf(&x), op->z = BytesOf(&z), op->y = BytesOf(&y);
  for (uint32_t i = 0; i < 5; ++i) op->dims[4 - i] = i < y.rank ? y.dims[y.rank - 1 - i] : 1;
  AlignedStrides(x, op->x_stride);
  AlignedStrides(z, op->z_stride);
  if (x.elements == y.elements && z.elements == y.elements) {  // no broadcasting: one row
    for (uint32_t i = 0; i < 4; ++i) op->dims[i] = 1, op->x_stride[i] = op->z_stride[i] = 0;
    op->dims[4] = y.elements, op->x_stride[4] = op->z_stride[4] = 1;
  }
  op->rows = op->dims[0] * op->dims[1] * op->dims[2] * op->dims[3];
  op->rows_per_unit = CeilDiv(kBytesPerUnit, op->dims[4]);
  op->is_product = p.op == Binary::kMul;
  op->sum = MakeResidualEnd({x.scale, x.zero_point}, {z.scale, z.zero_point}, {y.scale, y.zero_point}, p.low, p.high);
  const auto number = [](int32_t byte) { return static_cast<float>(byte + kToUnsigned); };
  op->product = {static_cast<float>(x.zero_point),
                 static_cast<float>(z.zero_point),
                 x.scale * z.scale / y.scale,
                 number(y.zero_point),
                 number(p.low),
                 number(p.high)};
  return op;
}

}  // namespace
}  // namespace gapcam
