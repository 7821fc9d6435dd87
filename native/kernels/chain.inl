// A window (depthwise convolution or maximum) with the convolutions around it, strip by strip: a few rows are expanded
// or copied into a ring buffer that stays in the cache, the window slides over them into a strip, and the strip is
// projected into the result. What lies between the three parts never exists as a whole.
//
//   x ── expand ─▶ ring [block][row][pixel][kBlock] ── window ─▶ strip [block][pixel][kBlock] ── project ─▶ y
//
// A block of channels passes through expansion and window before the next block begins, so that both stay in the
// first-level cache. The work is divided into bands of rows; the rows at the seams of two bands are computed twice.
// Where seams are expensive, as with many threads and a small picture, units are blocks of channels instead, and the
// projection is a second phase.
namespace gapcam {
namespace {

// The op of a chain step, and of a depthwise conv2d. chain_make.inl chooses its sizes and packs its weights.
class Chain final : public Op, public Placed {
 public:
  Window window;
  ConvShape s;  // of the window: its input and output
  uint32_t stride_h, dilation_h, pad_top, pad_left;
  bool has_expand, has_project;
  ConvRows expand_rows;
  GemmWeights expand, project;
  Activation expand_act, project_act;
  const E *x, *residual;
  E* y;
  float* pooled;
  float* row_sums;            // [batch][out_height][blocks][kBlock], if there is a pooled output
  uint32_t picture_floats;    // floats of one picture of x
  uint32_t features, blocks;  // channels of y; blocks of kBlock channels of the window
  uint32_t strip_rows, ring_rows, ring_width;
  uint32_t ring_blocks;       // all blocks, or 1 if a band is one strip, whose ring no later strip needs
  uint32_t bands, band_rows;  // bands of a picture, and rows of results of one band
  bool is_by_block;           // a unit is one block of a band
  E* shared;                  // [batch][block][out_height][out_width][kBlock], if projection is a phase of its own
  uint32_t project_pixels, project_units;  // pixels of a unit of that phase, and units of a picture

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
    return CacheFloats() * sizeof(E) + PointerBytes() + (has_expand ? expand_rows.ScratchBytes(ring_rows) : 0);
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
        ProjectShared(unit / project_units, unit % project_units, static_cast<const E**>(scratch));
      else
        RunMean(unit / blocks, unit % blocks);
    }
  }

  // Floats of one block in the ring, in a strip and in `shared`.
  size_t RingFloats() const { return static_cast<size_t>(ring_rows) * ring_width * kBlock; }
  size_t StripFloats() const {
    return has_project && !is_by_block ? static_cast<size_t>(strip_rows) * s.out_width * kBlock : 0;
  }
  size_t SharedFloats() const { return static_cast<size_t>(s.out_height) * s.out_width * kBlock; }
  // Floats of all rings and strips of one worker.
  size_t CacheFloats() const { return ring_blocks * RingFloats() + blocks * StripFloats(); }
  // The number of rows of the padded input under `rows` rows of results.
  uint32_t Reach(uint32_t rows) const { return (rows - 1) * stride_h + (window.kernel_h - 1) * dilation_h + 1; }

 private:
  // Bytes for the pointers to the blocks' strips and to the rows under a row of results.
  size_t PointerBytes() const { return ((blocks + window.kernel_h) * sizeof(E*) + 63) / 64 * 64; }
  uint32_t BlockColumns(uint32_t block) const { return Least(kBlock, s.channels - block * kBlock); }

  // Computes blocks [first_block, last_block) of one band of one picture.
  void RunBand(uint32_t image, uint32_t band, uint32_t first_block, uint32_t last_block, char* scratch) const {
    E* ring = reinterpret_cast<E*>(scratch);
    E* strip = ring + ring_blocks * RingFloats();
    const E** strips = reinterpret_cast<const E**>(strip + blocks * StripFloats());
    const E** under = strips + blocks;
    char* const rest = reinterpret_cast<char*>(strips) + PointerBytes();
    const size_t row_floats = static_cast<size_t>(ring_width) * kBlock;
    const E* picture = x + static_cast<size_t>(image) * picture_floats;
    for (uint32_t block = 0; block < blocks; ++block) strips[block] = strip + block * StripFloats();
    for (E* row = ring; row < strip; row += row_floats) {
      Fill(row, pad_left);
      Fill(row + (pad_left + s.width) * kBlock, ring_width - pad_left - s.width);
    }
    const uint32_t end = Least((band + 1) * band_rows, s.out_height);
    uint32_t filled = 0;  // rows of the padded input before this one are in the ring or no longer needed
    for (uint32_t oy = band * band_rows, rows; oy < end; oy += rows) {
      rows = Least(strip_rows, end - oy);
      const uint32_t from = Most(filled, oy * stride_h), to = oy * stride_h + Reach(rows);
      filled = to;
      // The rows among [from, to) that lie in the picture, without padding.
      const uint32_t top = Least(from - Least(from, pad_top), s.height),
                     bottom = Least(to - Least(to, pad_top), s.height);
      GemmRows source = {};
      if (has_expand && top < bottom) source = expand_rows.Find(picture, top, bottom - top, rest);
      for (uint32_t block = first_block; block < last_block; ++block) {
        E* rows_of_block = ring + block % ring_blocks * RingFloats();
        uint32_t slot = from % ring_rows;
        for (uint32_t row = from; row < to; ++row, slot = slot + 1 < ring_rows ? slot + 1 : 0) {
          E* place = rows_of_block + slot * row_floats + pad_left * kBlock;
          if (row < pad_top || row - pad_top >= s.height)
            Fill(place, s.width);
          else if (has_expand)
            ExpandRow(source, row - pad_top - top, block, place);
          else
            CopyRow(picture + static_cast<size_t>(row - pad_top) * s.width * s.channels, block, place);
        }
        E* results = shared ? shared + (static_cast<size_t>(image) * blocks + block) * SharedFloats() +
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

  // Projects one unit of pixels of `shared` into y.
  void ProjectShared(uint32_t image, uint32_t unit, const E** strips) const {
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

  // Writes the value that a window sees outside the picture: 0, or -infinity for a maximum.
  void Fill(E* to, uint32_t pixels) const {
    const V value = Set(window.is_max ? -__builtin_inff() : 0.0f);
    for (uint32_t i = 0; i < pixels * kBlock; i += kLanes) Store(to + i, value);
  }

  // Expands row `row` of the source, one block of it, into `to`.
  void ExpandRow(const GemmRows& source, uint32_t row, uint32_t block, E* to) const {
    GemmRows of_row = source;
    of_row.runs += static_cast<size_t>(row) * source.taps;
    const uint32_t first = block * kBlock;
    // Multiply addresses columns from 0, so `to` is moved back by the columns before this block.
    Multiply(expand, of_row, 1, s.width, {to - first, nullptr, nullptr, kBlock}, first, first + BlockColumns(block),
             expand_act);
  }

  // Copies one block of a row of x into `to`, for a chain without an expansion.
  void CopyRow(const E* row, uint32_t block, E* to) const {
    const uint32_t columns = BlockColumns(block);
    const E* from = row + block * kBlock;
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

  // Computes row oy of the window's results into `strip`, or into y if there is no projection.
  void SlideRow(uint32_t image, uint32_t oy, uint32_t block, const E* ring, const E** under, E* strip) const {
    // dilation_h < ring_rows, so subtracting ring_rows once is enough.
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

  // Writes one block of the pooled output from the sums of the rows.
  void RunMean(uint32_t image, uint32_t block) const {
    const float* sums = row_sums + (static_cast<size_t>(image) * s.out_height * blocks + block) * kBlock;
    const float area = static_cast<float>(s.out_height * s.out_width);
    for (uint32_t c = 0; c < BlockColumns(block); c += kLanes) {
      Wide sum = WideZero();
      for (uint32_t oy = 0; oy < s.out_height; ++oy)
        sum = WideAdd(sum, WideLoad(sums + static_cast<size_t>(oy) * blocks * kBlock + c));
      float* to = pooled + static_cast<size_t>(image) * s.channels + block * kBlock + c;
      WideStoreQuotient(to, sum, area, static_cast<int>(Least(kLanes, BlockColumns(block) - c)));
    }
  }
};

}  // namespace
}  // namespace gapcam
