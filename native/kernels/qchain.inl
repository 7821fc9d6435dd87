// qchain: strip by strip (qchain_strips.inl), or its convolutions as phases of one op, with whole tensors of bytes
// between them in session memory.
namespace gapcam {
namespace {

// Up to three ops that run one after the other.
class QuantPhases final : public Op, public Placed {
 public:
  const Op* ops[3];
  uint32_t count;

  uint32_t Phases() const override {
    uint32_t phases = 0;
    for (uint32_t i = 0; i < count; ++i) phases += ops[i]->Phases();
    return phases;
  }
  uint32_t Units(uint32_t phase) const override {
    const Op& op = At(phase);
    return op.Units(phase);
  }
  size_t ScratchBytes() const override {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; ++i) bytes = bytes > ops[i]->ScratchBytes() ? bytes : ops[i]->ScratchBytes();
    return bytes;
  }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_chain"); }
  uint64_t Flops() const override {
    uint64_t flops = 0;
    for (uint32_t i = 0; i < count; ++i) flops += ops[i]->Flops();
    return flops;
  }
  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    const Op& op = At(phase);
    op.Run(phase, first, last, scratch);
  }

 private:
  // The op of a phase; `phase` becomes the phase of that op.
  const Op& At(uint32_t& phase) const {
    uint32_t i = 0;
    for (; phase >= ops[i]->Phases(); ++i) phase -= ops[i]->Phases();
    return *ops[i];
  }
};

// Makes the convolutions of a chain in order; each reads what the one before it writes.
class QuantChainMaker {
 public:
  QuantChainMaker(const StepRef& step, Allocator& memory, const char** reason)
      : step_(step), memory_(memory), reason_(reason), x_(*step.inputs[0]) {}

  // Makes the convolution whose weights are input `at`. Its params have the window, groups and range; `zero` is the zero
  // point of its result, unless it is the last one, which writes the step's outputs.
  const Op* Make(uint32_t at, Qconv2dParams params, bool is_last, int32_t zero) {
    const TensorRef& w = *step_.inputs[at];
    TensorRef between = x_;
    between.dims[1] =
        OutSize(x_.dims[1], params.pad_top + params.pad_bottom, params.kernel_h, params.stride_h, params.dilation_h);
    between.dims[2] =
        OutSize(x_.dims[2], params.pad_left + params.pad_right, params.kernel_w, params.stride_w, params.dilation_w);
    between.dims[3] = w.dims[0];
    between.elements = between.dims[0] * between.dims[1] * between.dims[2] * between.dims[3];
    between.zero_point = zero;
    between.data = is_last ? nullptr : memory_.Allocate(between.elements);
    if (!is_last && !between.data) return Refuse(reason_, "there is not enough memory");
    const auto& p = *static_cast<const QchainParams*>(step_.params);
    if (is_last) {
      params.low = p.low, params.high = p.high, params.middle_scale = p.middle_scale;
      params.middle_zero = p.middle_zero, params.middle_low = p.middle_low, params.middle_high = p.middle_high;
      params.residual_first = p.residual_first;
    }
    const TensorRef* inputs[] = {&x_, &w, InputAt(step_, at + 1), InputAt(step_, at + 2),
                                 is_last ? InputAt(step_, 10) : nullptr};
    const TensorRef* outputs[] = {is_last ? step_.outputs[0] : &between, is_last ? OutputAt(step_, 1) : nullptr};
    const StepRef conv = {StepKind::kQconv2d, step_.name,       &params, inputs, 5, outputs, 2,
                          step_.threads,      step_.cache_bytes};
    const Op* op = MakeQuantConv2d(conv, memory_, reason_);
    x_ = between;
    return op;
  }

 private:
  const StepRef& step_;
  Allocator& memory_;
  const char** reason_;
  TensorRef x_;  // of the next convolution
};

// Makes a chain: strip by strip where it ends in a projection and the rows under its window are neighbours.
static const Op* MakeQuantChain(const StepRef& step, Allocator& memory, const char** reason) {
  if (InputAt(step, 7) && static_cast<const QchainParams*>(step.params)->dilation_h == 1)
    return MakeQuantStrips(step, memory, reason);
  void* place = memory.Allocate(sizeof(QuantPhases));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantPhases();
  const auto& p = *static_cast<const QchainParams*>(step.params);
  const TensorRef *expand = InputAt(step, 4), *project = InputAt(step, 7);
  QuantChainMaker maker(step, memory, reason);
  op->count = 0;
  if (expand) {
    const Qconv2dParams params = {p.expand_kernel_h,
                                  p.expand_kernel_w,
                                  p.expand_stride_h,
                                  p.expand_stride_w,
                                  p.expand_pad_top,
                                  p.expand_pad_left,
                                  p.expand_pad_bottom,
                                  p.expand_pad_right,
                                  p.expand_dilation_h,
                                  p.expand_dilation_w,
                                  1,
                                  p.expand_low,
                                  p.expand_high,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0};
    op->ops[op->count++] = maker.Make(4, params, false, p.expand_zero);
  }
  const uint32_t channels = step.inputs[1]->dims[0];
  const Qconv2dParams window = {p.kernel_h,
                                p.kernel_w,
                                p.stride_h,
                                p.stride_w,
                                p.pad_top,
                                p.pad_left,
                                p.pad_bottom,
                                p.pad_right,
                                p.dilation_h,
                                p.dilation_w,
                                channels,
                                p.window_low,
                                p.window_high,
                                0,
                                0,
                                0,
                                0,
                                0};
  op->ops[op->count++] = maker.Make(1, window, !project, p.window_zero);
  if (project) op->ops[op->count++] = maker.Make(7, {1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0}, true, 0);
  for (uint32_t i = 0; i < op->count; ++i)
    if (!op->ops[i]) return nullptr;
  return op;
}

}  // namespace
}  // namespace gapcam
