// Convolution whose kernel reaches far over the border, as one with a dilation near the size of its map. The output is
// divided into bands of rows and of columns, at whose places the same taps lie in the picture. Where two bands cross
// lies a rectangle, and only its own taps are multiplied. Its runs lie in the input itself: nothing is copied.
//
//   3×3 taps, dilation 12,      rows and columns  0…3    4…11   12…15      9 rectangles, with 1 to 4 taps of 9:
//   16 × 16 places:             taps              1, 2   1      0, 1       a quarter of all products
namespace gapcam {
namespace {

// Outputs [first, first + count) along one axis, and the taps [tap, tap + taps) in the picture at each of them.
struct Band {
  uint32_t first, count, tap, taps;
};

// A convolution along one axis.
struct ConvAxis {
  uint32_t size, outputs, kernel, stride, dilation, pad;

  // Calls use(band) for each band in turn. A band has at most `most` outputs.
  template <class Use>
  void ForEachBand(uint32_t most, const Use& use) const {
    Band band = TapsAt(0);
    for (uint32_t output = 1; output < outputs; ++output) {
      const Band next = TapsAt(output);
      if (next.tap == band.tap && next.taps == band.taps && band.count < most) {
        ++band.count;
        continue;
      }
      use(band);
      band = next;
    }
    use(band);
  }

  // Outputs times their taps. A band with fewer outputs than `least` takes as long as one with that many.
  double Work(uint32_t least) const {
    double work = 0;
    ForEachBand(outputs, [&](const Band& band) { work += double(Most(band.count, least)) * band.taps; });
    return work;
  }

 private:
  // The band of one output. Tap t of output o reads place o * stride + t * dilation - pad.
  Band TapsAt(uint32_t output) const {
    const int64_t before = int64_t{pad} - int64_t{output} * stride;
    const uint32_t tap = TapsBelow(before), end = TapsBelow(before + size);
    return {output, 1, tap < end ? tap : 0, end - tap};
  }

  // Taps t with t * dilation < distance.
  uint32_t TapsBelow(int64_t distance) const {
    if (distance <= 0) return 0;
    const int64_t taps = (distance + dilation - 1) / dilation;
    return taps < kernel ? static_cast<uint32_t>(taps) : kernel;
  }
};

GAPCAM_INLINE ConvAxis AxisDown(const Conv2dParams& p, const ConvShape& s) {
  return {s.height, s.out_height, p.kernel_h, p.stride_h, p.dilation_h, p.pad_top};
}
GAPCAM_INLINE ConvAxis AxisAcross(const Conv2dParams& p, const ConvShape& s) {
  return {s.width, s.out_width, p.kernel_w, p.stride_w, p.dilation_w, p.pad_left};
}

// Whether a step, which wants no mean, is computed by bands. They make tiles shorter, so they must save a quarter of the
// products. Where the taps of a kernel row lie apart, no more products than before are enough: on AVX-512 copying padded
// rows, which bands do without, takes 5 to 25 % of a convolution with a dilation of 2 or 4.
static bool ReachesFarOut(const StepRef& step) {
  constexpr uint32_t kShortTile = 4;  // rows of a tile below which reading the weights takes longer than multiplying
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const ConvShape s = ShapeOf(step);
  const bool reaches_out = p.pad_top || p.pad_left || p.pad_bottom || p.pad_right;
  if (!reaches_out || OutputAt(step, 1)) return false;
  const double all = double(s.out_height) * p.kernel_h * Most(s.out_width, kShortTile) * p.kernel_w;
  const double work = AxisDown(p, s).Work(1) * AxisAcross(p, s).Work(kShortTile);
  return work <= (p.dilation_w > 1 ? 1 : 0.75) * all;
}

// conv2d by bands. A unit is one rectangle times one panel of one group's columns.
class ConvBands final : public Op, public Placed {
 public:
  Conv2dParams p;
  ConvShape s;
  const E *x, *residual;
  E* y;
  const E* zeros;              // a run for places at which no tap lies in the picture, and the bias of later products
  const GemmWeights* weights;  // one per group
  Activation act;
  const Band *down, *across;
  uint32_t rows, columns;  // bands in `down` and `across`
  uint32_t panels;         // of a group's columns

  uint32_t Units(uint32_t) const override { return s.batch * p.groups * panels * rows * columns; }
  size_t ScratchBytes() const override {
    uint32_t most = 0;
    for (uint32_t i = 0; i < rows; ++i) most = Most(most, down[i].count);
    return static_cast<size_t>(most) * p.kernel_w * sizeof(E*);
  }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_conv_bands"); }
  uint64_t Flops() const override {
    return 2ull * s.batch * s.out_height * s.out_width * s.features * (s.channels / p.groups) * p.kernel_h * p.kernel_w;
  }

  // Units of one panel follow one another, so that its weights stay in the second-level cache.
  void Run(uint32_t, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      const uint32_t rectangle = unit % (rows * columns), panel = unit / (rows * columns) % panels,
                     picture = unit / (rows * columns) / panels;
      RunRectangle(picture / p.groups, picture % p.groups, panel * kPanel, down[rectangle / columns],
                   across[rectangle % columns], static_cast<const E**>(scratch));
    }
  }

 private:
  // Each row of the kernel is one product, which adds to those before. Its weights stay in the second-level cache, too,
  // and all of a deep kernel's would not.
  void RunRectangle(uint32_t image, uint32_t group, uint32_t n, const Band& rows_of, const Band& columns_of,
                    const E** runs) const {
    const uint32_t channels = s.channels / p.groups, features = s.features / p.groups;
    const E* picture = x + static_cast<size_t>(image) * s.height * s.width * s.channels + group * channels;
    const size_t at = ((size_t{image} * s.out_height + rows_of.first) * s.out_width + columns_of.first) * s.features +
                      group * features;
    GemmOut out = {y + at, residual ? residual + at : nullptr, nullptr, s.features, size_t{s.out_width} * s.features};
    GemmWeights part = weights[group];
    const uint32_t n_last = Least(n + kPanel, features);
    if (rows_of.taps == 0 || columns_of.taps == 0) {
      for (uint32_t i = 0; i < rows_of.count; ++i) runs[i] = zeros;
      return Multiply(part, {runs, 1, channels, channels, 0}, rows_of.count, columns_of.count, out, n, n_last, act);
    }
    const uint32_t end = rows_of.tap + rows_of.taps;
    for (uint32_t ky = rows_of.tap; ky < end; ++ky) {
      const GemmRows product = {runs,
                                columns_of.taps,
                                channels,
                                channels,
                                size_t{p.stride_w} * s.channels,
                                (ky * p.kernel_w + columns_of.tap) * channels};
      FindRuns(picture, rows_of, columns_of, ky, runs);
      Multiply(part, product, rows_of.count, columns_of.count, out, n, n_last,
               ky + 1 == end ? act : MakeActivation(Elementwise::kNone, 0, 0));
      part.bias = zeros;
      out.residual = out.y;
    }
  }

  // Finds the runs of the first column of each row, for one kernel row.
  void FindRuns(const E* picture, const Band& rows_of, const Band& columns_of, uint32_t ky, const E** runs) const {
    for (uint32_t oy = rows_of.first; oy < rows_of.first + rows_of.count; ++oy) {
      const size_t iy = size_t{oy} * p.stride_h + size_t{ky} * p.dilation_h - p.pad_top;
      for (uint32_t kx = columns_of.tap; kx < columns_of.tap + columns_of.taps; ++kx) {
        const size_t ix = size_t{columns_of.first} * p.stride_w + size_t{kx} * p.dilation_w - p.pad_left;
        *runs++ = picture + (iy * s.width + ix) * s.channels;
      }
    }
  }
};

// Allocates and finds the bands of one axis. Returns null when memory is short.
static const Band* MakeBands(const ConvAxis& axis, uint32_t most, Allocator& memory, uint32_t* count) {
  *count = 0;
  axis.ForEachBand(most, [&](const Band&) { ++*count; });
  auto* bands = static_cast<Band*>(memory.Allocate(*count * sizeof(Band)));
  if (!bands) return nullptr;
  Band* to = bands;
  axis.ForEachBand(most, [&](const Band& band) { *to++ = band; });
  return bands;
}

static const Op* MakeConvBands(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ConvBands));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ConvBands();
  const auto& p = op->p = *static_cast<const Conv2dParams*>(step.params);
  const ConvShape& s = op->s = ShapeOf(step);
  op->x = DataOf(step.inputs[0]);
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(step.outputs[0]);
  op->act = MakeActivation(p.activation, p.a, p.b);
  op->panels = CeilDiv(s.features / p.groups, kPanel);
  ConvRows packing;
  packing.SetUp(p, s);
  op->weights = MakeConvWeights(packing, step, memory);
  op->zeros = static_cast<const E*>(
      memory.Allocate(size_t{Most(s.channels / p.groups, s.features / p.groups + kPanel)} * sizeof(E)));
  // The input rows of a rectangle stay in the second-level cache beside a panel of weights.
  const size_t row_bytes = size_t{s.width} * s.channels * p.stride_h * sizeof(E);
  const uint32_t most = Most(1, static_cast<uint32_t>(step.cache_bytes / 4 / row_bytes));
  op->down = MakeBands(AxisDown(p, s), most, memory, &op->rows);
  op->across = MakeBands(AxisAcross(p, s), s.out_width, memory, &op->columns);
  if (!op->weights || !op->zeros || !op->down || !op->across) return GAPCAM_NO_MEMORY;
  return op;
}

}  // namespace
}  // namespace gapcam
