// Reductions over the middle of [outer, length, inner]. Global average pooling is the mean with inner = channels.
namespace gapcam {
namespace {

// A reduce step.
class ReduceSpan final : public Op, public Placed {
 public:
  ReduceParams p;
  const float* x;
  float* y;
  uint32_t blocks;  // groups of kLanes inner elements; 1 if inner is 1

  uint32_t Units(uint32_t) const override { return p.outer * blocks; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_reduce"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t outer = unit / blocks, i = unit % blocks * kLanes;
      const float* from = x + static_cast<size_t>(outer) * p.length * p.inner + i;
      if (p.inner == 1)
        y[outer] = Row(from);
      else {
        const int lanes = static_cast<int>(Least(kLanes, p.inner - i));
        StoreN(y + static_cast<size_t>(outer) * p.inner + i, Column(from, lanes), lanes);
      }
    }
  }

 private:
  V First() const {
    switch (p.op) {
      case Reduce::kMax: return Set(-__builtin_inff());
      case Reduce::kMin: return Set(__builtin_inff());
      case Reduce::kProd: return Set(1.0f);
      default: return Zero();
    }
  }

  V Step(V acc, V value) const {
    switch (p.op) {
      case Reduce::kMax: return Greater(acc, value);
      case Reduce::kMin: return Lesser(acc, value);
      case Reduce::kProd: return acc * value;
      case Reduce::kL1: return acc + Abs(value);
      case Reduce::kL2:
      case Reduce::kSumSquare: return acc + value * value;
      default: return acc + value;
    }
  }

  V Last(V acc) const {
    if (p.op == Reduce::kMean) return acc / Set(static_cast<float>(p.length));
    return p.op == Reduce::kL2 ? Sqrt(acc) : acc;
  }

  // Reduces `lanes` adjacent columns.
  V Column(const float* from, int lanes) const {
    V acc = First();
    for (uint32_t l = 0; l < p.length; ++l) acc = Step(acc, LoadN(from + static_cast<size_t>(l) * p.inner, lanes));
    return Last(acc);
  }

  // Reduces contiguous elements to kLanes partial results, and those to one.
  float Row(const float* from) const {
    V acc = First();
    uint32_t l = 0;
    for (; l + kLanes <= p.length; l += kLanes) acc = Step(acc, Load(from + l));
    V total = First();
    for (; l < p.length; ++l) total = Step(total, Set(from[l]));
    const bool is_sum = p.op == Reduce::kL1 || p.op == Reduce::kL2 || p.op == Reduce::kSumSquare;
    for (int lane = 0; lane < kLanes; ++lane) total = is_sum ? total + Set(acc[lane]) : Step(total, Set(acc[lane]));
    return Last(total)[0];
  }
};

static const Op* MakeReduce(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ReduceSpan));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ReduceSpan();
  op->p = *static_cast<const ReduceParams*>(step.params);
  op->x = DataOf(step.inputs[0]);
  op->y = DataOf(step.outputs[0]);
  op->blocks = op->p.inner == 1 ? 1 : CeilDiv(op->p.inner, kLanes);
  return op;
}

}  // namespace
}  // namespace gapcam
