// The cast between single and half precision, rounded to the nearest value. A unit is a chunk of elements.
namespace gapcam {
namespace {

// A cast step.
class Cast final : public Op, public Placed {
 public:
  static constexpr uint32_t kChunk = 16384;
  const float* singles;  // the operand or the result; the other one is in `halves`
  E* halves;
  float* wide;  // the result in single precision; null for a cast to half precision
  uint32_t elements;

  uint32_t Units(uint32_t) const override { return CeilDiv(elements, kChunk); }
  const char* Kernel() const override { return GAPCAM_KERNEL("cast"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    const uint32_t end = Least(last * kChunk, elements);
    uint32_t i = first * kChunk;
    for (; i + kLanes <= end; i += kLanes) {
      if (wide)
        WideStore(wide + i, WideAdd(WideZero(), Load(halves + i)));
      else
        Store(halves + i, Narrow(WideLoad(singles + i)));
    }
    for (; i < end; ++i) wide ? void(wide[i] = halves[i]) : void(halves[i] = static_cast<E>(singles[i]));
  }
};

static const Op* MakeCast(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Cast));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Cast();
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0];
  const bool is_widening = x.type == PlanType::kFloat16;
  op->elements = x.elements;
  op->halves = DataOf(is_widening ? &x : &y);
  op->wide = is_widening ? FloatsOf(&y) : nullptr;
  op->singles = is_widening ? nullptr : FloatsOf(&x);
  return op;
}

}  // namespace
}  // namespace gapcam
