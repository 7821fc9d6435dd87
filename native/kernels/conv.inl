// Convolution as a matrix product. Each output pixel is a row of the left operand, whose runs lie in the input itself,
// so no im2col buffer is written. Where the kernel reaches over the border, the input rows of one unit are first
// copied, with their padding, into the worker's scratch memory.
namespace gapcam {
namespace {

// The left operand of a convolution's product: finds the runs of input floats under each output pixel.
class ConvRows {
 public:
  Conv2dParams p;
  ConvShape s;
  bool is_pointwise;   // 1×1, stride 1, no padding: output pixel i reads input pixel i, through the whole picture
  bool is_padded;      // input rows are copied into scratch memory, with their padding
  bool is_crowded;     // pointwise, and the pixels of a tile evict one another from the first-level cache
  uint32_t taps, run;  // runs of an output pixel, and floats in each

  void SetUp(const Conv2dParams& params, const ConvShape& shape) {
    p = params, s = shape;
    const bool is_point = p.kernel_h == 1 && p.kernel_w == 1;
    const bool reaches_out = p.pad_top || p.pad_left || p.pad_bottom || p.pad_right;
    is_pointwise = is_point && p.stride_h == 1 && p.stride_w == 1 && !reaches_out;
    is_padded = reaches_out || (p.groups > 1 && !is_point);
    // Cache lines that are 4096 bytes apart share a set, which has eight ways or fewer.
    is_crowded = is_pointwise && s.channels * sizeof(E) % 4096 == 0;
    // Where the pixels of a kernel row are adjacent in memory, the whole row is one run.
    const bool is_joined = p.dilation_w == 1 && (is_padded || p.groups == 1);
    taps = is_joined ? p.kernel_h : p.kernel_h * p.kernel_w;
    run = is_joined ? p.kernel_w * GroupChannels() : GroupChannels();
  }

  uint32_t GroupChannels() const { return s.channels / p.groups; }
  // The number of input rows under `rows` output rows.
  uint32_t InputRows(uint32_t rows) const { return (rows - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1; }
  // Whether the rows under each row of the kernel are copied by themselves: a dilated kernel passes most rows over.
  bool IsApart(uint32_t count) const { return is_padded && p.kernel_h * count < InputRows(count); }
  uint32_t CopiedRows(uint32_t count) const { return IsApart(count) ? p.kernel_h * count : InputRows(count); }
  // Pixels of an input row with its padding.
  uint32_t PaddedWidth() const { return (s.out_width - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1; }
  // Scratch bytes that Find needs for `count` output rows, or Spread for `count` pixels.
  size_t ScratchBytes(uint32_t count) const {
    if (is_crowded) return static_cast<size_t>(count) * (run + kLanes) * sizeof(E);
    const size_t copied =
        is_padded ? static_cast<size_t>(CopiedRows(count)) * PaddedWidth() * GroupChannels() * sizeof(E) : 0;
    return Align(static_cast<size_t>(count) * taps * sizeof(E*)) + Align(copied);
  }

  // Copies `count` pixels to `to`, kLanes floats further apart. Returns `to`.
  const E* Spread(const E* from, uint32_t count, E* to) const {
    E* const start = to;
    for (uint32_t i = 0; i < count; ++i, from += s.channels, to += run + kLanes) std::memcpy(to, from, run * sizeof(E));
    return start;
  }

  // Finds the runs of the first pixel of each of `count` output rows, starting at row `first`. `picture` points at the
  // input's first pixel in this group. The result points into `scratch` and, unless rows are copied, into the picture.
  GemmRows Find(const E* picture, uint32_t first, uint32_t count, char* scratch) const {
    const E** runs = reinterpret_cast<const E**>(scratch);
    const uint32_t channels = is_padded ? GroupChannels() : s.channels;
    const size_t row_floats = static_cast<size_t>(is_padded ? PaddedWidth() : s.width) * channels;
    const E* rows = picture + static_cast<size_t>(first) * p.stride_h * s.width * s.channels;
    if (is_padded)
      rows = CopyRows(picture, first, count,
                      reinterpret_cast<E*>(scratch + Align(static_cast<size_t>(count) * taps * sizeof(E*))));
    const uint32_t across = taps / p.kernel_h;  // 1, or kernel_w where the pixels of a kernel row are not adjacent
    const bool is_apart = IsApart(count);
    for (uint32_t oy = 0; oy < count; ++oy) {
      for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
        const E* row = rows + (is_apart ? ky * count + oy : oy * p.stride_h + ky * p.dilation_h) * row_floats;
        for (uint32_t kx = 0; kx < across; ++kx) *runs++ = row + static_cast<size_t>(kx) * p.dilation_w * channels;
      }
    }
    return {reinterpret_cast<const E**>(scratch), taps, run, run, static_cast<size_t>(p.stride_w) * channels};
  }

 private:
  static size_t Align(size_t bytes) { return (bytes + 63) / 64 * 64; }

  // Copies the input rows under `count` output rows from oy on: this group's channels, with zeros outside the picture.
  const E* CopyRows(const E* picture, uint32_t oy, uint32_t count, E* to) const {
    const uint32_t c = GroupChannels(), width = PaddedWidth();
    const uint32_t left = Least(p.pad_left, width), inside = Least(s.width, width - left),
                   right = width - left - inside;
    const E* const start = to;
    const int64_t top = static_cast<int64_t>(oy) * p.stride_h - p.pad_top;
    const bool is_apart = IsApart(count);
    for (uint32_t r = 0; r < CopiedRows(count); ++r, to += static_cast<size_t>(width) * c) {
      const int64_t iy =
          top + (is_apart ? static_cast<int64_t>(r % count) * p.stride_h + int64_t{r / count} * p.dilation_h : r);
      if (iy < 0 || iy >= s.height) {
        std::memset(to, 0, static_cast<size_t>(width) * c * sizeof(E));
        continue;
      }
      const E* from = picture + static_cast<size_t>(iy) * s.width * s.channels;
      std::memset(to, 0, static_cast<size_t>(left) * c * sizeof(E));
      if (p.groups == 1)
        std::memcpy(to + left * c, from, static_cast<size_t>(inside) * c * sizeof(E));
      else
        for (uint32_t i = 0; i < inside; ++i)
          std::memcpy(to + (left + i) * c, from + static_cast<size_t>(i) * s.channels, c * sizeof(E));
      std::memset(to + (left + inside) * c, 0, static_cast<size_t>(right) * c * sizeof(E));
    }
    return start;
  }
};

// conv2d as a product. A unit is a chunk of one picture's rows times a chunk of one group's columns.
class ConvGemm final : public Op, public Placed {
 public:
  ConvRows rows;
  const E* x;
  const E* residual;
  E* y;
  float* pooled;
  const GemmWeights* weights;  // one per group
  Activation act;
  uint32_t chunk, chunks;                 // output rows (pixels if pointwise) of one unit, and such units of a picture
  uint32_t chunk_columns, column_chunks;  // output channels of one unit, and such units of a group

  uint32_t Units(uint32_t) const override { return rows.s.batch * rows.p.groups * chunks * column_chunks; }
  size_t ScratchBytes() const override {
    return SumBytes() + rows.ScratchBytes(rows.is_pointwise && !rows.is_crowded ? 1 : chunk);
  }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_conv_gemm"); }

  uint64_t Flops() const override {
    const ConvShape& s = rows.s;
    return 2ull * s.batch * s.out_height * s.out_width * s.features * rows.GroupChannels() * rows.p.kernel_h *
           rows.p.kernel_w;
  }

  void Run(uint32_t, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) RunUnit(unit, static_cast<char*>(scratch));
  }

 private:
  size_t SumBytes() const {
    return pooled ? ((rows.s.features / rows.p.groups + kPanel) * sizeof(float) + 63) / 64 * 64 : 0;
  }

  void RunUnit(uint32_t unit, char* scratch) const {
    const ConvShape& s = rows.s;
    const uint32_t groups = rows.p.groups;
    const uint32_t column_chunk = unit % column_chunks;
    unit /= column_chunks;
    const uint32_t index = unit % chunks;
    unit /= chunks;
    const uint32_t group = unit % groups, image = unit / groups;
    const uint32_t columns = s.features / groups, area = s.out_height * s.out_width;
    const uint32_t n_first = column_chunk * chunk_columns, n_last = Least(n_first + chunk_columns, columns);
    float* sums = pooled ? reinterpret_cast<float*>(scratch) : nullptr;
    if (sums) std::memset(sums, 0, SumBytes());
    // A pooled picture is one unit, so the order of its sum does not depend on the number of threads.
    const uint32_t all = rows.is_pointwise ? area : s.out_height;
    const uint32_t first = index * chunk, end = pooled ? all : Least(first + chunk, all);
    for (uint32_t at = first; at < end; at += chunk)
      RunRows(image, group, at, Least(chunk, end - at), n_first, n_last, sums, scratch + SumBytes());
    if (sums) {
      float* to = pooled + static_cast<size_t>(image) * s.features + group * columns;
      for (uint32_t n = n_first; n < n_last; ++n) to[n] = sums[n] / static_cast<float>(area);
    }
  }

  void RunRows(uint32_t image, uint32_t group, uint32_t first, uint32_t count, uint32_t n_first, uint32_t n_last,
               float* sums, char* scratch) const {
    const ConvShape& s = rows.s;
    const uint32_t pixel = rows.is_pointwise ? first : first * s.out_width;
    const size_t at = (static_cast<size_t>(image) * s.out_height * s.out_width + pixel) * s.features +
                      group * (s.features / rows.p.groups);
    const GemmOut out = {y ? y + at : nullptr, residual ? residual + at : nullptr, sums, s.features};
    const E* picture = x + static_cast<size_t>(image) * s.height * s.width * s.channels + group * rows.GroupChannels();
    if (rows.is_pointwise) {
      const E* from = picture + static_cast<size_t>(pixel) * s.channels;
      if (rows.is_crowded) from = rows.Spread(from, count, reinterpret_cast<E*>(scratch));
      const size_t step = rows.is_crowded ? rows.run + kLanes : s.channels;
      return Multiply(weights[group], {&from, 1, rows.run, rows.run, step}, 1, count, out, n_first, n_last, act);
    }
    Multiply(weights[group], rows.Find(picture, first, count, scratch), count, s.out_width, out, n_first, n_last, act);
  }
};

// Packs the weights [O][C][kh][kw] of one group as [K][N], with K in the order of the runs: kernel row, kernel column,
// channel. `w` and `bias` (or null) are those of the group. Returns false when memory is short.
static bool PackConvWeights(const ConvRows& rows, const float* w, const float* bias, Allocator& memory,
                            GemmWeights* result) {
  const uint32_t columns = rows.s.features / rows.p.groups, c = rows.GroupChannels();
  const uint32_t kernel = rows.p.kernel_h * rows.p.kernel_w, depth = kernel * c;
  if (kernel == 1) return MakeGemmWeights(w, 1, depth, depth, columns, bias, memory, result);
  // One kernel position after the other. The channels of a position lie `kernel` floats apart in w.
  E* packed = static_cast<E*>(memory.Allocate(PackedFloats(depth, columns) * sizeof(E)));
  E* padded = static_cast<E*>(memory.Allocate((columns + kPanel) * sizeof(E)));
  if (!packed || !padded) return false;
  *result = {packed, padded, columns, depth};
  for (uint32_t n0 = 0; n0 < columns; n0 += kPanel) {
    const uint32_t width = PanelWidth(columns, n0);
    for (uint32_t t = 0; t < kernel; ++t) {
      for (uint32_t i = 0; i < c; ++i) {
        for (uint32_t j = 0; j < width; ++j)
          *packed++ = n0 + j < columns ? static_cast<E>(w[static_cast<size_t>(n0 + j) * depth + i * kernel + t]) : E{0};
      }
    }
  }
  if (bias) Convert(bias, columns, padded);
  return true;
}

// Packs the weights of all groups. Returns null when memory is short.
static const GemmWeights* MakeConvWeights(const ConvRows& rows, const StepRef& step, Allocator& memory) {
  const uint32_t groups = rows.p.groups, columns = rows.s.features / groups;
  const size_t depth = static_cast<size_t>(rows.p.kernel_h) * rows.p.kernel_w * rows.GroupChannels();
  const float *w = FloatsOf(step.inputs[1]), *bias = FloatsOf(InputAt(step, 2));
  auto* weights = static_cast<GemmWeights*>(memory.Allocate(groups * sizeof(GemmWeights)));
  if (!weights) return nullptr;
  for (uint32_t group = 0; group < groups; ++group) {
    const size_t first = static_cast<size_t>(group) * columns;
    if (!PackConvWeights(rows, w + first * depth, bias ? bias + first : nullptr, memory, &weights[group]))
      return nullptr;
  }
  return weights;
}

// Chooses the rows and columns of one unit: its rows stay in the second-level cache beside a panel of weights, and
// there are about as many units as keep eight threads evenly busy.
static void ChooseUnits(ConvGemm* op, size_t cache_bytes) {
  constexpr uint32_t kWantedUnits = 24;
  const uint32_t quarter = static_cast<uint32_t>(cache_bytes / 4);
  const ConvShape& s = op->rows.s;
  const uint32_t groups = op->rows.p.groups, columns = s.features / groups;
  uint32_t all = s.out_height;
  if (op->rows.is_pointwise) {
    all *= s.out_width;
    const uint32_t rows = Most(2 * kTileRows, Least(36 * kTileRows, quarter / (s.channels * sizeof(E))));
    op->chunk = Least(CeilDiv(rows, kTileRows) * kTileRows, all);
  } else {
    const uint32_t row_bytes = op->rows.GroupChannels() * sizeof(E) * op->rows.PaddedWidth() * op->rows.p.stride_h;
    op->chunk = Least(Most(CeilDiv(4 * kTileRows, s.out_width), quarter / row_bytes), all);
  }
  op->chunks = op->pooled ? 1 : CeilDiv(all, op->chunk);
  const uint32_t panels = CeilDiv(columns, kPanel), others = s.batch * groups * op->chunks;
  const uint32_t wanted = Most(1, Least(panels, CeilDiv(kWantedUnits, others)));
  op->chunk_columns = CeilDiv(panels, wanted) * kPanel;
  op->column_chunks = CeilDiv(columns, op->chunk_columns);
}

static const Op* MakeConvGemm(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ConvGemm));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ConvGemm();
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  op->rows.SetUp(p, ShapeOf(step));
  op->x = DataOf(step.inputs[0]);
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(OutputAt(step, 0));
  op->pooled = FloatsOf(OutputAt(step, 1));
  op->act = MakeActivation(p.activation, p.a, p.b);
  ChooseUnits(op, step.cache_bytes);
  op->weights = MakeConvWeights(op->rows, step, memory);
  if (!op->weights) return GAPCAM_NO_MEMORY;
  return op;
}

}  // namespace
}  // namespace gapcam
