// qconv2d as an integer product (qgemm.inl) of the bytes under each output pixel (qrows.inl) and packed weights.
namespace gapcam {
namespace {

// A unit is a chunk of one picture's rows times a chunk of one group's columns.
class QuantConv final : public Op, public Placed {
 public:
  QuantConvRows rows;
  const Byte* x;
  const Byte* residual;
  Byte* y;
  Byte* pooled;
  const QuantWeights* weights;  // one per group
  QuantEnd end;
  MeanEnd mean;
  uint32_t chunk, chunks;                 // output rows (pixels if pointwise) of one unit, and such units of a picture
  uint32_t chunk_columns, column_chunks;  // output channels of one unit, and such units of a group

  uint32_t Phases() const override { return pooled ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override {
    const ConvShape& s = rows.s;
    return s.batch * (phase == 1 ? CeilDiv(s.features, kMeanChunk) : rows.p.groups * chunks * column_chunks);
  }
  size_t ScratchBytes() const override { return rows.ScratchBytes(chunk); }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_conv_gemm"); }

  uint64_t Flops() const override {
    const ConvShape& s = rows.s;
    return 2ull * s.batch * s.out_height * s.out_width * s.features * rows.GroupChannels() * rows.p.kernel_h *
           rows.p.kernel_w;
  }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    const ConvShape& s = rows.s;
    for (uint32_t unit = first; unit < last; ++unit) {
      if (phase == 0)
        RunUnit(unit, static_cast<char*>(scratch));
      else
        MeanUnit(mean, y, s.out_height * s.out_width, s.features, unit, pooled);
    }
  }

 private:
  void RunUnit(uint32_t unit, char* scratch) const {
    const ConvShape& s = rows.s;
    const uint32_t groups = rows.p.groups, columns = s.features / groups, area = s.out_height * s.out_width;
    const uint32_t n_first = unit % column_chunks * chunk_columns, n_last = Least(n_first + chunk_columns, columns);
    unit /= column_chunks;
    const uint32_t first = unit % chunks * chunk;
    unit /= chunks;
    const uint32_t group = unit % groups, image = unit / groups;
    const uint32_t count = Least(chunk, (rows.is_pointwise ? area : s.out_height) - first);
    const uint32_t pixel = rows.is_pointwise ? first : first * s.out_width;
    const size_t at = (static_cast<size_t>(image) * area + pixel) * s.features + group * columns;
    const QuantOut out = {y + at, residual ? residual + at : nullptr, s.features};
    const Byte* picture =
        x + static_cast<size_t>(image) * s.height * s.width * s.channels + group * rows.GroupChannels();
    const QuantRows left = rows.Find(picture, first, count, scratch);
    QuantMultiply(weights[group], left, rows.is_pointwise ? 1 : count, rows.is_pointwise ? count : s.out_width, out,
                  n_first, n_last, end);
  }
};

// Chooses the rows and columns of one unit: its rows stay in the second-level cache beside a panel of weights, and
// there are about as many units as keep eight threads evenly busy.
static void ChooseUnits(QuantConv* op, size_t cache_bytes) {
  constexpr uint32_t kWantedUnits = 24;
  const uint32_t quarter = static_cast<uint32_t>(cache_bytes / 4);
  const ConvShape& s = op->rows.s;
  const uint32_t groups = op->rows.p.groups, columns = s.features / groups;
  const uint32_t pixel = s.channels / groups * kOperandBytes;
  uint32_t all = s.out_height;
  if (op->rows.is_pointwise) {
    all *= s.out_width;
    op->chunk = Least(CeilDiv(Most(2 * kSumRows, Least(36 * kSumRows, quarter / pixel)), kSumRows) * kSumRows, all);
  } else {
    op->chunk =
        Least(Most(CeilDiv(4 * kSumRows, s.out_width), quarter / (pixel * (s.width + 8) * op->rows.p.stride_h)), all);
  }
  op->chunks = CeilDiv(all, op->chunk);
  const uint32_t panels = CeilDiv(columns, kSumPanel), others = s.batch * groups * op->chunks;
  const uint32_t wanted = Most(1, Least(panels, CeilDiv(kWantedUnits, others)));
  op->chunk_columns = CeilDiv(panels, wanted) * kSumPanel;
  op->column_chunks = CeilDiv(columns, op->chunk_columns);
}

// The window and groups of a qconv2d step.
GAPCAM_INLINE Conv2dParams WindowOf(const Qconv2dParams& p) {
  Conv2dParams window = {};
  window.kernel_h = p.kernel_h, window.kernel_w = p.kernel_w;
  window.stride_h = p.stride_h, window.stride_w = p.stride_w;
  window.pad_top = p.pad_top, window.pad_left = p.pad_left;
  window.pad_bottom = p.pad_bottom, window.pad_right = p.pad_right;
  window.dilation_h = p.dilation_h, window.dilation_w = p.dilation_w, window.groups = p.groups;
  return window;
}

// The end of a qconv2d or qdense step.
template <class Params>
GAPCAM_INLINE QuantEnd EndOf(const Params& p, const TensorRef* residual, const TensorRef& y) {
  if (!residual) return {{y.zero_point, p.low, p.high}, {}, false};
  const QuantCode middle = {p.middle_scale, p.middle_zero}, other = {residual->scale, residual->zero_point};
  const bool is_first = p.residual_first != 0;
  return {{p.middle_zero, p.middle_low, p.middle_high},
          MakeResidualEnd(is_first ? other : middle, is_first ? middle : other, {y.scale, y.zero_point}, p.low, p.high),
          is_first};
}

// Packs the weights [O][C][kh][kw] of every group. Returns false when memory is short.
static bool PackQuantConv(QuantConv* op, const StepRef& step, Allocator& memory) {
  const QuantConvRows& rows = op->rows;
  const uint32_t groups = rows.p.groups, columns = rows.s.features / groups, c = rows.GroupChannels();
  const uint32_t kernel = rows.p.kernel_h * rows.p.kernel_w;
  const TensorRef &w = *step.inputs[1], *bias = InputAt(step, 2);
  auto* weights = static_cast<QuantWeights*>(memory.Allocate(groups * sizeof(QuantWeights)));
  if (!weights) return false;
  op->weights = weights;
  for (uint32_t group = 0; group < groups; ++group) {
    const uint32_t first = group * columns;
    WeightSource source = {};
    source.tensor = &w;
    source.bias = bias ? static_cast<const int32_t*>(bias->data) + first : nullptr;
    source.scales = static_cast<const float*>(step.inputs[3]->data) + first;
    source.first = static_cast<size_t>(first) * c * kernel;
    source.channel_stride = kernel, source.position_stride = 1, source.column_stride = static_cast<size_t>(c) * kernel;
    source.columns = columns, source.taps = rows.taps, source.run = rows.run, source.channels = c;
    if (!MakeQuantWeights(source, rows.zero, memory, &weights[group])) return false;
  }
  return true;
}

static const Op* MakeQuantConv(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantConv));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantConv();
  const auto& p = *static_cast<const Qconv2dParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0], *residual = InputAt(step, 4),
                  *pooled = OutputAt(step, 1);
  op->rows.SetUp(WindowOf(p),
                 {x.dims[0], x.dims[1], x.dims[2], x.dims[3], y.dims[1], y.dims[2], step.inputs[1]->dims[0]},
                 x.zero_point);
  op->x = BytesOf(&x), op->y = BytesOf(&y), op->residual = BytesOf(residual), op->pooled = BytesOf(pooled);
  op->end = EndOf(p, residual, y);
  if (pooled) op->mean = MakeMeanEnd(y, *pooled, y.dims[1] * y.dims[2], kLeastByte, kMostByte);
  ChooseUnits(op, step.cache_bytes);
  return PackQuantConv(op, step, memory) ? op : GAPCAM_NO_MEMORY;
}

}  // namespace
}  // namespace gapcam
