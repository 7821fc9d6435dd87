// A window with the convolutions around it, strip by strip: a few rows are expanded (or copied) into a ring that stays in
// the cache, the window slides over them into a strip, and the strip is projected into the result.
//
//   x ── expand ─▶ ring [block][row][pixel][kBlock] ── window ─▶ strip [block][pixel][kBlock] ── project ─▶ y
//
// One block passes through expansion and window before the next one begins, so that both find it in the first level.
//
// The work is divided into bands of rows, each of which computes the rows at its seams once more. Where that would cost
// too much, as when many threads share a small picture, they divide the blocks, and project in a phase of its own.
namespace gapcam {
namespace {

class Chain final : public Op, public Placed {
 public:
  Window window;
  ConvShape s;  // of the window
  uint32_t stride_h, dilation_h, pad_top, pad_left;
  bool has_expand, has_project;
  ConvRows expand_rows;
  GemmWeights expand, project;
  Activation expand_act, project_act;
  const float *x, *residual;
  float *y, *pooled;
  float* row_sums;          // [batch][out_height][blocks][kBlock] where there is a mean
  uint32_t picture_floats;  // of one picture of x
  uint32_t features, blocks;
  uint32_t strip_rows, ring_rows, ring_width;
  uint32_t ring_blocks;  // blocks, or 1 where a band is one strip: then a block's ring is of no use to the next strip
  uint32_t bands, band_rows;  // rows of results of one unit
  bool is_by_block;           // a unit is one block of a band
  float* shared;              // [batch][block][out_height][out_width][kBlock] where blocks wait for their projection
  uint32_t project_pixels, project_units;  // of a picture, where that is a phase

  uint32_t Phases() const override { return pooled || shared ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override {
    if (phase == 1) return s.batch * (shared ? project_units : blocks);
    return s.batch * bands * (is_by_block ? blocks : 1);
  }
  const char* Kernel() const override {
    if (window.is_max) return GAPCAM_KERNEL("f32_conv_maxpool");
    return has_expand || has_project ? GAPCAM_KERNEL("f32_separable") : GAPCAM_KERNEL("f32_depthwise");
  }
  size_t ScratchBytes() const override {
    return CacheFloats() * sizeof(float) + PointerBytes() + (has_expand ? expand_rows.ScratchBytes(ring_rows) : 0);
  }

  uint64_t Flops() const override {
    const uint64_t out = uint64_t{s.batch} * s.out_height * s.out_width;
    const uint64_t of_window = window.is_max ? 0 : 2 * out * s.channels * window.kernel_h * window.kernel_w;
    return of_window + ExpandFlops() + (has_project ? 2 * out * s.channels * features : 0);
  }
  uint64_t ExpandFlops() const {
    const uint64_t depth =
        has_expand ? uint64_t{expand_rows.s.channels} * expand_rows.p.kernel_h * expand_rows.p.kernel_w : 0;
    return 2 * uint64_t{s.batch} * s.height * s.width * depth * s.channels;
  }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      if (phase == 0 && is_by_block)
        RunBand(unit / blocks / bands, unit / blocks % bands, unit % blocks, unit % blocks + 1,
                static_cast<char*>(scratch));
      else if (phase == 0)
        RunBand(unit / bands, unit % bands, 0, blocks, static_cast<char*>(scratch));
      else if (shared)
        ProjectShared(unit / project_units, unit % project_units, static_cast<const float**>(scratch));
      else
        RunMean(unit / blocks, unit % blocks);
    }
  }

  // Of one block, in floats.
  size_t RingFloats() const { return static_cast<size_t>(ring_rows) * ring_width * kBlock; }
  size_t StripFloats() const {
    return has_project && !is_by_block ? static_cast<size_t>(strip_rows) * s.out_width * kBlock : 0;
  }
  size_t SharedFloats() const { return static_cast<size_t>(s.out_height) * s.out_width * kBlock; }
  size_t CacheFloats() const { return ring_blocks * RingFloats() + blocks * StripFloats(); }
  // Rows of the padded input under `rows` rows of results.
  uint32_t Reach(uint32_t rows) const { return (rows - 1) * stride_h + (window.kernel_h - 1) * dilation_h + 1; }

 private:
  // Pointers to the strips of the blocks, and to the rows under a row of results.
  size_t PointerBytes() const { return ((blocks + window.kernel_h) * sizeof(float*) + 63) / 64 * 64; }
  uint32_t BlockColumns(uint32_t block) const { return Least(kBlock, s.channels - block * kBlock); }

  // Blocks [first_block, last_block) of a band.
  void RunBand(uint32_t image, uint32_t band, uint32_t first_block, uint32_t last_block, char* scratch) const {
    float* ring = reinterpret_cast<float*>(scratch);
    float* strip = ring + ring_blocks * RingFloats();
    const float** strips = reinterpret_cast<const float**>(strip + blocks * StripFloats());
    const float** under = strips + blocks;
    char* const rest = reinterpret_cast<char*>(strips) + PointerBytes();
    const size_t row_floats = static_cast<size_t>(ring_width) * kBlock;
    const float* picture = x + static_cast<size_t>(image) * picture_floats;
    for (uint32_t block = 0; block < blocks; ++block) strips[block] = strip + block * StripFloats();
    for (float* row = ring; row < strip; row += row_floats) {
      Fill(row, pad_left);
      Fill(row + (pad_left + s.width) * kBlock, ring_width - pad_left - s.width);
    }
    const uint32_t end = Least((band + 1) * band_rows, s.out_height);
    uint32_t filled = 0;  // rows of the padded input below this one are in the ring, or no longer needed
    for (uint32_t oy = band * band_rows, rows; oy < end; oy += rows) {
      rows = Least(strip_rows, end - oy);
      const uint32_t from = Most(filled, oy * stride_h), to = oy * stride_h + Reach(rows);
      filled = to;
      // Those of them that lie in the picture.
      const uint32_t top = Least(from - Least(from, pad_top), s.height),
                     bottom = Least(to - Least(to, pad_top), s.height);
      GemmRows source = {};
      if (has_expand && top < bottom) source = expand_rows.Find(picture, top, bottom - top, rest);
      for (uint32_t block = first_block; block < last_block; ++block) {
        float* rows_of_block = ring + block % ring_blocks * RingFloats();
        uint32_t slot = from % ring_rows;
        for (uint32_t row = from; row < to; ++row, slot = slot + 1 < ring_rows ? slot + 1 : 0) {
          float* place = rows_of_block + slot * row_floats + pad_left * kBlock;
          if (row < pad_top || row - pad_top >= s.height)
            Fill(place, s.width);
          else if (has_expand)
            ExpandRow(source, row - pad_top - top, block, place);
          else
            CopyRow(picture + static_cast<size_t>(row - pad_top) * s.width * s.channels, block, place);
        }
        float* results = shared ? shared + (static_cast<size_t>(image) * blocks + block) * SharedFloats() +
                                      static_cast<size_t>(oy) * s.out_width * kBlock
                                : strip + block * StripFloats();
        for (uint32_t r = 0; r < rows; ++r)
          SlideRow(image, oy + r, block, rows_of_block, under, results + static_cast<size_t>(r) * s.out_width * kBlock);
      }
      if (!has_project || shared) continue;
      const size_t at = (static_cast<size_t>(image) * s.out_height + oy) * s.out_width * features;
      const GemmRows of_strip = {strips, blocks, kBlock, BlockColumns(blocks - 1), kBlock};
      Multiply(project, of_strip, 1, rows * s.out_width,
               {y + at, residual ? residual + at : nullptr, nullptr, features}, 0, features, project_act);
    }
  }

  void ProjectShared(uint32_t image, uint32_t unit, const float** strips) const {
    const uint32_t area = s.out_height * s.out_width, first = unit * project_pixels,
                   count = Least(project_pixels, area - first);
    for (uint32_t block = 0; block < blocks; ++block)
      strips[block] =
          shared + (static_cast<size_t>(image) * blocks + block) * SharedFloats() + static_cast<size_t>(first) * kBlock;
    const GemmRows pixels = {strips, blocks, kBlock, BlockColumns(blocks - 1), kBlock};
    const size_t at = (static_cast<size_t>(image) * area + first) * features;
    Multiply(project, pixels, 1, count, {y + at, residual ? residual + at : nullptr, nullptr, features}, 0, features,
             project_act);
  }

  // What a window sees outside the picture.
  void Fill(float* to, uint32_t pixels) const {
    const V value = Set(window.is_max ? -__builtin_inff() : 0.0f);
    for (uint32_t i = 0; i < pixels * kBlock; i += kLanes) Store(to + i, value);
  }

  // Row `row` of the source's, one block of it.
  void ExpandRow(const GemmRows& source, uint32_t row, uint32_t block, float* to) const {
    GemmRows of_row = source;
    of_row.runs += static_cast<size_t>(row) * source.taps;
    const uint32_t first = block * kBlock;
    // The product counts columns from the first block on.
    Multiply(expand, of_row, 1, s.width, {to - first, nullptr, nullptr, kBlock}, first, first + BlockColumns(block),
             expand_act);
  }

  void CopyRow(const float* row, uint32_t block, float* to) const {
    const uint32_t columns = BlockColumns(block);
    const float* from = row + block * kBlock;
    for (uint32_t pixel = 0; pixel < s.width; ++pixel, from += s.channels, to += kBlock) {
      if (columns == kBlock) {
#pragma GCC unroll 8
        for (uint32_t c = 0; c < kBlock; c += kLanes) Store(to + c, Load(from + c));
      } else {
        for (uint32_t c = 0; c < columns; c += kLanes)
          Store(to + c, LoadN(from + c, static_cast<int>(Least(kLanes, columns - c))));
      }
    }
  }

  // Row oy of the window's results, to `strip` or to y.
  void SlideRow(uint32_t image, uint32_t oy, uint32_t block, const float* ring, const float** under,
                float* strip) const {
    // dilation_h < ring_rows, so one step back is enough.
    uint32_t slot = oy * stride_h % ring_rows;
    for (uint32_t ky = 0; ky < window.kernel_h; ++ky) {
      under[ky] = ring + static_cast<size_t>(slot) * ring_width * kBlock;
      slot += dilation_h;
      if (slot >= ring_rows) slot -= ring_rows;
    }
    WindowOut out = {strip, nullptr, nullptr, kBlock, BlockColumns(block)};
    const size_t row = static_cast<size_t>(image) * s.out_height + oy;
    if (!has_project) {
      const size_t at = row * s.out_width * s.channels + block * kBlock;
      out.y = y + at;
      out.residual = residual ? residual + at : nullptr;
      out.step = s.channels;
    }
    if (pooled) {
      out.sums = row_sums + (row * blocks + block) * kBlock;
      std::memset(out.sums, 0, kBlock * sizeof(float));
    }
    window.row(window, under, block, out);
  }

  void RunMean(uint32_t image, uint32_t block) const {
    const float* sums = row_sums + (static_cast<size_t>(image) * s.out_height * blocks + block) * kBlock;
    const float area = static_cast<float>(s.out_height * s.out_width);
    for (uint32_t c = 0; c < BlockColumns(block); c += kLanes) {
      V sum = Zero();
      for (uint32_t oy = 0; oy < s.out_height; ++oy) sum += Load(sums + static_cast<size_t>(oy) * blocks * kBlock + c);
      float* to = pooled + static_cast<size_t>(image) * s.channels + block * kBlock + c;
      StoreN(to, sum / Set(area), static_cast<int>(Least(kLanes, BlockColumns(block) - c)));
    }
  }
};

// How much of the chain's work is done twice where each band has `rows` rows of results.
static double SeamCost(const Chain& op, uint32_t rows) {
  const double once = rows * op.stride_h,
               share = op.has_expand ? static_cast<double>(op.ExpandFlops()) / op.Flops() : 0.1;
  return rows >= op.s.out_height ? 0 : share * (op.Reach(rows) - once) / once;
}

// A unit for each thread, and several where seams are cheap, so that a thread that is held up leaves little to wait for.
static void ChooseUnits(Chain* op, uint32_t threads, size_t cache_bytes) {
  constexpr double kCheap = 0.02, kDear = 0.1;
  const ConvShape& s = op->s;
  uint32_t wanted = threads;
  const auto rows_of = [&s](uint32_t bands) { return CeilDiv(s.out_height, bands); };
  while (threads > 1 && wanted < 4 * threads && SeamCost(*op, rows_of(wanted + threads)) <= kCheap) wanted += threads;
  // The results of all blocks must stay in a cache until they are projected.
  const size_t results = static_cast<size_t>(op->blocks) * op->SharedFloats() * sizeof(float);
  op->is_by_block = op->blocks > 1 && SeamCost(*op, rows_of(wanted)) > kDear && results <= cache_bytes;
  if (op->is_by_block) wanted = op->blocks < 2 * threads ? 2 : 1;
  op->band_rows = rows_of(Least(wanted, s.out_height));
  op->bands = CeilDiv(s.out_height, op->band_rows);
  // Pixels of a projection: the most units among those that leave the threads equally busy.
  const uint32_t tiles = CeilDiv(s.out_height * s.out_width, kTileRows);
  uint32_t best = UINT32_MAX;
  for (uint32_t units = threads; units <= 4 * threads; ++units) {
    const uint32_t chunk = CeilDiv(tiles, units), busy = CeilDiv(CeilDiv(tiles, chunk), threads) * chunk;
    if (busy <= best) best = busy, op->project_pixels = chunk * kTileRows;
  }
  op->project_units = CeilDiv(s.out_height * s.out_width, op->project_pixels);
}

// A strip is a whole band where that takes at most half of the second-level cache, so that weights are read once; else it
// has rows enough to fill the product's tiles, and more while all blocks stay in a quarter.
static void ChooseStrips(Chain* op, size_t cache_bytes) {
  const ConvShape& s = op->s;
  const size_t half = cache_bytes / sizeof(float) / 2;
  const auto fits = [op](uint32_t rows, uint32_t ring_blocks, size_t floats) {
    op->strip_rows = rows, op->ring_rows = op->Reach(rows), op->ring_blocks = ring_blocks;
    return op->CacheFloats() <= floats;
  };
  if (fits(op->band_rows, 1, half)) return;
  const uint32_t rings = op->is_by_block ? 1 : op->blocks;
  uint32_t rows = Least(CeilDiv(2 * kTileRows, s.out_width), op->band_rows);
  while (rows < op->band_rows && fits(rows + 1, rings, half / 2)) ++rows;
  fits(rows, rings, 0);
}

static const Op* MakeChain(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Chain));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Chain();
  const auto& p = *static_cast<const ChainParams*>(step.params);
  const TensorRef &x = *step.inputs[0], *y = OutputAt(step, 0), *pooled = OutputAt(step, 1);
  const TensorRef *weights = InputAt(step, 1), *bias = InputAt(step, 2), *expand = InputAt(step, 3),
                  *project = InputAt(step, 5);
  const uint32_t middle = expand ? expand->dims[0] : x.dims[3];
  op->has_expand = expand != nullptr;
  op->has_project = project != nullptr;
  ConvShape source = {x.dims[0], x.dims[1], x.dims[2], x.dims[3], x.dims[1], x.dims[2], middle};
  const Conv2dParams e = {p.expand_kernel_h,
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
                          p.expand_activation,
                          p.expand_a,
                          p.expand_b};
  if (expand)
    source.out_height = OutSize(source.height, e.pad_top + e.pad_bottom, e.kernel_h, e.stride_h, e.dilation_h);
  if (expand) source.out_width = OutSize(source.width, e.pad_left + e.pad_right, e.kernel_w, e.stride_w, e.dilation_w);
  op->s = {x.dims[0], source.out_height, source.out_width, middle, y->dims[1], y->dims[2], middle};
  op->picture_floats = x.elements / x.dims[0];
  op->features = y->dims[3];
  op->blocks = CeilDiv(middle, kBlock);
  op->stride_h = p.stride_h, op->dilation_h = p.dilation_h, op->pad_top = p.pad_top, op->pad_left = p.pad_left;
  op->x = DataOf(&x);
  op->residual = DataOf(InputAt(step, 7));
  op->y = DataOf(y);
  op->pooled = DataOf(pooled);
  op->window = {p.op == WindowOp::kMax,
                p.kernel_h,
                p.kernel_w,
                p.stride_w,
                p.dilation_w,
                op->s.out_width,
                nullptr,
                nullptr,
                MakeActivation(p.activation, p.a, p.b),
                nullptr};
  op->window.row = ChooseWindowRow(op->window);
  op->project_act = MakeActivation(p.project_activation, p.project_a, p.project_b);
  if (expand) op->expand_rows.SetUp(e, source);
  op->ring_width =
      Most(op->pad_left + op->s.width, (op->s.out_width - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1);
  ChooseUnits(op, step.threads, step.cache_bytes);
  ChooseStrips(op, step.cache_bytes);
  if (op->is_by_block && project) {
    op->shared = static_cast<float*>(memory.Allocate(op->s.batch * op->blocks * op->SharedFloats() * sizeof(float)));
    if (!op->shared) return GAPCAM_NO_MEMORY;
  }
  bool has_memory = !weights || PackWindow(DataOf(weights), DataOf(bias), middle, memory, &op->window);
  if (pooled) {
    const size_t floats = static_cast<size_t>(op->s.batch) * op->s.out_height * op->blocks * kBlock;
    op->row_sums = static_cast<float*>(memory.Allocate(floats * sizeof(float)));
    has_memory = has_memory && op->row_sums;
  }
  if (expand) {
    op->expand_act = MakeActivation(p.expand_activation, p.expand_a, p.expand_b);
    has_memory =
        has_memory && PackConvWeights(op->expand_rows, DataOf(expand), DataOf(InputAt(step, 4)), memory, &op->expand);
  }
  if (project)
    has_memory = has_memory && MakeGemmWeights(DataOf(project), 1, middle, middle, op->features,
                                               DataOf(InputAt(step, 6)), memory, &op->project);
  return has_memory ? op : GAPCAM_NO_MEMORY;
}

GAPCAM_INLINE bool IsDepthwise(const StepRef& step) {
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const uint32_t channels = step.inputs[0]->dims[3];
  return p.groups == channels && step.inputs[1]->dims[0] == channels;
}

// A depthwise convolution is a chain of nothing but its window.
static const Op* MakeDepthwise(const StepRef& step, Allocator& memory, const char** reason) {
  const auto& c = *static_cast<const Conv2dParams*>(step.params);
  ChainParams p = {};
  p.op = WindowOp::kDepthwise;
  p.kernel_h = c.kernel_h, p.kernel_w = c.kernel_w, p.stride_h = c.stride_h, p.stride_w = c.stride_w;
  p.pad_top = c.pad_top, p.pad_left = c.pad_left, p.pad_bottom = c.pad_bottom, p.pad_right = c.pad_right;
  p.dilation_h = c.dilation_h, p.dilation_w = c.dilation_w;
  p.activation = c.activation, p.a = c.a, p.b = c.b;
  // Where nobody asks for the map itself, it still needs a place.
  const ConvShape s = ShapeOf(step);
  TensorRef map = {nullptr, {s.batch, s.out_height, s.out_width, s.channels, 1}, 4, 0, false};
  if (!OutputAt(step, 0))
    map.data = memory.Allocate(static_cast<size_t>(s.batch) * s.out_height * s.out_width * s.channels * sizeof(float));
  if (!OutputAt(step, 0) && !map.data) return GAPCAM_NO_MEMORY;
  const TensorRef* inputs[] = {step.inputs[0], step.inputs[1], InputAt(step, 2), nullptr,
                               nullptr,        nullptr,        nullptr,          InputAt(step, 3)};
  const TensorRef* outputs[] = {OutputAt(step, 0) ? OutputAt(step, 0) : &map, OutputAt(step, 1)};
  return MakeChain({StepKind::kChain, step.name, &p, inputs, 8, outputs, 2, step.threads, step.cache_bytes}, memory,
                   reason);
}

}  // namespace
}  // namespace gapcam
