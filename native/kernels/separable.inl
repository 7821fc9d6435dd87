// A depthwise convolution with the 1×1 convolutions around it, strip by strip: a few rows are expanded into a ring that
// stays in the cache, the depthwise rows over them go into a strip, and the strip is projected into the result.
//
//   x ── expand ─▶ ring of rows [W, M] ── depthwise ─▶ strip [rows, OW, M] ── project ─▶ y
namespace gapcam {
namespace {

class Separable final : public Op, public Placed {
 public:
  Depthwise depthwise;             // over the ring; its s.channels is M
  uint32_t channels, features;     // C, O
  bool has_expand, has_project;
  GemmWeights expand, project;
  Activation expand_act, project_act;
  const float *x, *residual;
  float* y;
  uint32_t strip_rows, ring_rows;
  uint32_t bands, band_rows;       // rows of results of one unit; a band expands the rows at its seams once more

  uint32_t Units(uint32_t) const override { return depthwise.s.batch * bands; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_separable"); }
  size_t ScratchBytes() const override { return (RingFloats() + StripFloats()) * sizeof(float) + depthwise.ColumnBytes(); }

  uint64_t Flops() const override {
    const ConvShape& s = depthwise.s;
    const uint64_t in = uint64_t{s.batch} * s.height * s.width, out = uint64_t{s.batch} * s.out_height * s.out_width;
    return depthwise.Flops() + (has_expand ? 2 * in * channels * s.channels : 0) + (has_project ? 2 * out * s.channels * features : 0);
  }

  void Run(uint32_t, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) RunBand(unit / bands, unit % bands, static_cast<float*>(scratch));
  }

 private:
  static size_t Align(size_t floats) { return (floats + 15) / 16 * 16; }
  size_t RingFloats() const { return has_expand ? Align(static_cast<size_t>(ring_rows) * depthwise.s.width * depthwise.s.channels) : 0; }
  size_t StripFloats() const { return has_project ? Align(static_cast<size_t>(strip_rows) * depthwise.s.out_width * depthwise.s.channels) : 0; }

  void RunBand(uint32_t image, uint32_t band, float* scratch) const {
    const ConvShape& s = depthwise.s;
    const Conv2dParams& p = depthwise.p;
    float* ring = scratch;
    float* strip = ring + RingFloats();
    const float** columns = reinterpret_cast<const float**>(strip + StripFloats());
    const float* picture = x + static_cast<size_t>(image) * s.height * s.width * channels;
    const uint32_t end = Least((band + 1) * band_rows, s.out_height);
    uint32_t expanded = 0;  // input rows below this one are in the ring, or no longer needed
    for (uint32_t oy = band * band_rows, rows; oy < end; oy += rows) {
      rows = Least(strip_rows, end - oy);
      if (has_expand) {
        const int64_t first = static_cast<int64_t>(oy) * p.stride_h - p.pad_top;
        const int64_t last = first + static_cast<int64_t>(rows - 1) * p.stride_h + static_cast<int64_t>(p.kernel_h - 1) * p.dilation_h + 1;
        if (first > expanded) expanded = static_cast<uint32_t>(first);
        expanded = ExpandRows(picture, expanded, last < 0 ? 0 : Least(static_cast<uint32_t>(last), s.height), ring);
      }
      const size_t at = (static_cast<size_t>(image) * s.out_height + oy) * s.out_width * features;
      for (uint32_t r = 0; r < rows; ++r) {
        const size_t row = static_cast<size_t>(r) * s.out_width * s.channels;
        float* to = has_project ? strip + row : y + at + row;
        const float* add = residual && !has_project ? residual + at + row : nullptr;
        depthwise.ComputeRow(has_expand ? ring : picture, has_expand ? ring_rows : s.height, oy + r, to, add, columns);
      }
      if (!has_project) continue;
      const float* from = strip;
      const GemmOut out = {y + at, residual ? residual + at : nullptr, nullptr, features};
      Multiply(project, {&from, 1, s.channels, s.channels}, 1, rows * s.out_width, out, 0, features, project_act);
    }
  }

  // Expands input rows [first, last); gives last, or first where there are none.
  uint32_t ExpandRows(const float* picture, uint32_t first, uint32_t last, float* ring) const {
    const ConvShape& s = depthwise.s;
    while (first < last) {
      const uint32_t slot = first % ring_rows, rows = Least(last - first, ring_rows - slot);
      const float* from = picture + static_cast<size_t>(first) * s.width * channels;
      const GemmOut out = {ring + static_cast<size_t>(slot) * s.width * s.channels, nullptr, nullptr, s.channels};
      Multiply(expand, {&from, 1, channels, channels}, 1, rows * s.width, out, 0, s.channels, expand_act);
      first += rows;
    }
    return first;
  }
};

// A strip has rows enough to fill the product's tiles; a band for each thread and some to spare, but none so thin that
// the rows at its seams cost more than they are worth.
static void ChooseStrips(Separable* op, uint32_t threads) {
  const ConvShape& s = op->depthwise.s;
  const Conv2dParams& p = op->depthwise.p;
  op->strip_rows = Least(CeilDiv(2 * kTileRows, s.out_width), s.out_height);
  op->ring_rows = (op->strip_rows - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1;
  const uint32_t wanted = threads == 1 ? 1 : 2 * threads;
  op->band_rows = Least(s.out_height, Most(CeilDiv(s.out_height, wanted), Most(op->strip_rows, 3)));
  op->bands = CeilDiv(s.out_height, op->band_rows);
}

static const Op* MakeSeparable(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Separable));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Separable();
  const auto& p = *static_cast<const SeparableParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0];
  const TensorRef *expand = InputAt(step, 3), *project = InputAt(step, 5);
  const uint32_t middle = step.inputs[1]->dims[0];
  op->channels = x.dims[3];
  op->features = y.dims[3];
  op->has_expand = expand != nullptr;
  op->has_project = project != nullptr;
  op->expand_act = MakeActivation(p.expand_activation, p.expand_a, p.expand_b);
  op->project_act = MakeActivation(p.project_activation, p.project_a, p.project_b);
  op->x = DataOf(&x);
  op->residual = DataOf(InputAt(step, 7));
  op->y = DataOf(&y);
  op->depthwise.p = {p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_top, p.pad_left, p.pad_bottom, p.pad_right,
                     p.dilation_h, p.dilation_w, middle, p.activation, p.a, p.b};
  op->depthwise.s = {x.dims[0], x.dims[1], x.dims[2], middle, y.dims[1], y.dims[2], middle};
  if (!PrepareDepthwise(&op->depthwise, step.inputs[1], InputAt(step, 2), memory)) return GAPCAM_NO_MEMORY;
  ChooseStrips(op, step.threads);
  const bool has_memory =
      (!expand || MakeGemmWeights(DataOf(expand), 1, op->channels, op->channels, middle, DataOf(InputAt(step, 4)), memory, &op->expand)) &&
      (!project || MakeGemmWeights(DataOf(project), 1, middle, middle, op->features, DataOf(InputAt(step, 6)), memory, &op->project));
  return has_memory ? op : GAPCAM_NO_MEMORY;
}

}  // namespace
}  // namespace gapcam
