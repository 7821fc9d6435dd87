// A qchain step by its definition: its convolutions one after the other, with whole tensors between them.
namespace gapcam {
namespace {

// Phases: the convolutions that the step has, then the mean.
class QuantChainReference final : public Op, public Placed {
 public:
  QuantConvolution convs[3];
  uint32_t count;
  QuantMeanReference mean;

  uint32_t Phases() const override { return count + (mean.pooled ? 1 : 0); }
  uint32_t Units(uint32_t phase) const override {
    return phase < count ? convs[phase].Rows() : convs[0].s.batch * mean.features;
  }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_chain_reference"); }
  uint64_t Flops() const override {
    uint64_t flops = 0;
    for (uint32_t i = 0; i < count; ++i) flops += convs[i].Flops();
    return flops;
  }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) phase < count ? convs[phase].RunRow(unit) : mean.RunUnit(unit);
  }
};

// Makes the convolutions of a chain in order; each reads what the one before it has written.
class QuantChainMaker {
 public:
  QuantChainMaker(const StepRef& step, Allocator& memory, QuantChainReference* op)
      : step_(step), memory_(memory), op_(op), x_(*step.inputs[0]) {}

  // Appends the convolution with the weights at input `at`, if the step has it. `next` is the range of the tensor behind
  // it; the last convolution writes y. Returns false when memory is short.
  bool Add(uint32_t at, const Conv2dParams& window, bool is_last, const QuantRange& next) {
    const TensorRef* w = InputAt(step_, at);
    if (!w) return true;
    const TensorRef& y = *step_.outputs[0];
    QuantConvolution& conv = op_->convs[op_->count++];
    conv.p = window;
    conv.s = {x_.dims[0], x_.dims[1], x_.dims[2], x_.dims[3], 0, 0, w->dims[0]};
    conv.s.out_height =
        OutSize(x_.dims[1], window.pad_top + window.pad_bottom, window.kernel_h, window.stride_h, window.dilation_h);
    conv.s.out_width =
        OutSize(x_.dims[2], window.pad_left + window.pad_right, window.kernel_w, window.stride_w, window.dilation_w);
    conv.x = BytesOf(&x_);
    x_.dims[1] = conv.s.out_height, x_.dims[2] = conv.s.out_width, x_.dims[3] = w->dims[0];
    x_.zero_point = next.zero;
    if (is_last) {
      conv.y = BytesOf(&y);
      conv.end = EndReferenceOf(*static_cast<const QchainParams*>(step_.params), InputAt(step_, 10), y);
    } else {
      x_.data = memory_.Allocate(size_t{x_.dims[0]} * x_.dims[1] * x_.dims[2] * x_.dims[3]);
      if (!x_.data) return false;
      conv.y = BytesOf(&x_);
      conv.end = {next, BytesOf(nullptr), {}, false};
    }
    return MakeQuantProduct(*w, InputAt(step_, at + 1), *step_.inputs[at + 2], w->dims[0], w->dims[1],
                            window.kernel_h * window.kernel_w, memory_, &conv.product);
  }

 private:
  const StepRef& step_;
  Allocator& memory_;
  QuantChainReference* op_;
  TensorRef x_;  // of the next convolution
};

static const Op* MakeQuantChainReference(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantChainReference));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantChainReference();
  op->count = 0;
  const auto& p = *static_cast<const QchainParams*>(step.params);
  const Conv2dParams expand = {p.expand_kernel_h,
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
                               Elementwise::kNone,
                               0,
                               0};
  const Conv2dParams project = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, Elementwise::kNone, 0, 0};
  Conv2dParams window = WindowFrom(p);
  window.groups = step.inputs[1]->dims[0];
  const bool projects = InputAt(step, 7) != nullptr;
  QuantChainMaker maker(step, memory, op);
  const bool is_made = maker.Add(4, expand, false, {p.expand_zero, p.expand_low, p.expand_high}) &&
                       maker.Add(1, window, !projects, {p.window_zero, p.window_low, p.window_high}) &&
                       maker.Add(7, project, true, {});
  op->mean.SetUp(*step.outputs[0], OutputAt(step, 1));
  return is_made ? op : GAPCAM_NO_MEMORY;
}

}  // namespace
}  // namespace gapcam
