// Element-wise functions of one operand, and of two operands with broadcasting.
namespace gapcam {
namespace {

// Elements of one unit.
constexpr uint32_t kElementsPerUnit = 16384;

// y = op(x), element by element.
class ElementwiseOp final : public Op, public Placed {
 public:
  const float* x;
  float* y;
  uint32_t count;
  Activation act;

  uint32_t Units(uint32_t) const override { return CeilDiv(count, kElementsPerUnit); }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_elementwise"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * kElementsPerUnit, count);
    uint32_t i = first * kElementsPerUnit;
    for (; i + kLanes <= end; i += kLanes) Store(y + i, Activate(act, Load(x + i)));
    if (i < end) StoreN(y + i, Activate(act, LoadN(x + i, static_cast<int>(end - i))), static_cast<int>(end - i));
  }
};

static const Op* MakeElementwise(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ElementwiseOp));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ElementwiseOp();
  const auto& p = *static_cast<const ElementwiseParams*>(step.params);
  op->x = DataOf(step.inputs[0]);
  op->y = DataOf(step.outputs[0]);
  op->count = step.outputs[0]->elements;
  op->act = MakeActivation(p.activation, p.a, p.b);
  return op;
}

GAPCAM_INLINE V PowerOf(V x, V z) {
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_powf(x[i], z[i]);
  return x;
}

// One vector of a binary function.
template <Binary kOp>
GAPCAM_INLINE V Combine(V x, V z) {
  switch (kOp) {
    case Binary::kAdd: return x + z;
    case Binary::kSub: return x - z;
    case Binary::kMul: return x * z;
    case Binary::kDiv: return x / z;
    case Binary::kMax: return Greater(x, z);
    case Binary::kMin: return Lesser(x, z);
    case Binary::kPow: return PowerOf(x, z);
    case Binary::kPrelu: return Select(x < Zero(), x * z, x);
  }
  return x;
}

// One run of the innermost dimension. An operand that does not move repeats its first element.
struct BinaryRun {
  const float *x, *z;
  float* y;
  uint32_t count;
  bool x_moves, z_moves;
};

// Computes one run.
template <Binary kOp>
static void CombineRun(const BinaryRun& run, const Activation& act) {
  const V x0 = Set(run.x[0]), z0 = Set(run.z[0]);
  uint32_t i = 0;
  for (; i + kLanes <= run.count; i += kLanes) {
    const V x = run.x_moves ? Load(run.x + i) : x0;
    const V z = run.z_moves ? Load(run.z + i) : z0;
    Store(run.y + i, Activate(act, Combine<kOp>(x, z)));
  }
  if (i == run.count) return;
  const int rest = static_cast<int>(run.count - i);
  const V x = run.x_moves ? LoadN(run.x + i, rest) : x0;
  const V z = run.z_moves ? LoadN(run.z + i, rest) : z0;
  StoreN(run.y + i, Activate(act, Combine<kOp>(x, z)), rest);
}

// y = activation(op(x, z)), a run of the innermost dimension after the other.
class BinaryOp final : public Op, public Placed {
 public:
  const float *x, *z;
  float* y;
  uint32_t dims[5];                   // of y, with dimensions merged where both operands advance in the same way
  uint32_t x_stride[5], z_stride[5];  // in elements, 0 where the operand is broadcast
  uint32_t rows, run;                 // the number of runs, and the elements of one
  uint32_t rows_per_unit;
  Activation act;
  void (*combine)(const BinaryRun&, const Activation&);

  uint32_t Units(uint32_t) const override { return CeilDiv(rows, rows_per_unit); }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_binary"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * rows_per_unit, rows);
    for (uint32_t row = first * rows_per_unit; row < end; ++row) {
      size_t x_at = 0, z_at = 0;
      uint32_t rest = row;
      for (int axis = 3; axis >= 0; --axis) {
        const uint32_t i = rest % dims[axis];
        rest /= dims[axis];
        x_at += static_cast<size_t>(i) * x_stride[axis];
        z_at += static_cast<size_t>(i) * z_stride[axis];
      }
      combine({x + x_at, z + z_at, y + static_cast<size_t>(row) * run, run, x_stride[4] != 0, z_stride[4] != 0}, act);
    }
  }
};

// Merges dimensions into the innermost one while each operand is either contiguous over them or constant.
static void MergeInner(BinaryOp* op) {
  for (int axis = 3; axis >= 0; --axis) {
    const uint32_t inner = op->dims[4], size = op->dims[axis];
    const bool x_follows = size == 1 || op->x_stride[axis] == op->x_stride[4] * inner;
    const bool z_follows = size == 1 || op->z_stride[axis] == op->z_stride[4] * inner;
    if (inner == 1 && size > 1) {
      op->x_stride[4] = op->x_stride[axis];
      op->z_stride[4] = op->z_stride[axis];
      if (op->x_stride[4] > 1 || op->z_stride[4] > 1) {
        op->x_stride[4] = op->z_stride[4] = 0;
        return;
      }
    } else if (!x_follows || !z_follows) {
      return;
    }
    op->dims[4] *= size;
    op->dims[axis] = 1;
  }
}

static const Op* MakeBinary(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(BinaryOp));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) BinaryOp();
  const auto& p = *static_cast<const BinaryParams*>(step.params);
  const TensorRef& out = *step.outputs[0];
  op->x = DataOf(step.inputs[0]);
  op->z = DataOf(step.inputs[1]);
  op->y = DataOf(&out);
  for (int i = 0; i < 5; ++i) op->dims[4 - i] = i < static_cast<int>(out.rank) ? out.dims[out.rank - 1 - i] : 1;
  AlignedStrides(*step.inputs[0], op->x_stride);
  AlignedStrides(*step.inputs[1], op->z_stride);
  MergeInner(op);
  op->run = op->dims[4];
  op->rows = out.elements / op->run;
  op->rows_per_unit = Most(1, kElementsPerUnit / op->run);
  op->act = MakeActivation(p.activation, p.a, p.b);
  switch (p.op) {
    case Binary::kAdd: op->combine = CombineRun<Binary::kAdd>; break;
    case Binary::kSub: op->combine = CombineRun<Binary::kSub>; break;
    case Binary::kMul: op->combine = CombineRun<Binary::kMul>; break;
    case Binary::kDiv: op->combine = CombineRun<Binary::kDiv>; break;
    case Binary::kMax: op->combine = CombineRun<Binary::kMax>; break;
    case Binary::kMin: op->combine = CombineRun<Binary::kMin>; break;
    case Binary::kPow: op->combine = CombineRun<Binary::kPow>; break;
    case Binary::kPrelu: op->combine = CombineRun<Binary::kPrelu>; break;
  }
  return op;
}

}  // namespace
}  // namespace gapcam
