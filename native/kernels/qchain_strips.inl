// A chain of bytes that ends in a projection, strip by strip: a few rows are expanded for one block of channels, the
// window slides over them, and when all blocks of the strip are done it is projected. What lies between the parts stays
// in the caches.
//
//   x ── expand ─▶ rows [row][pixel][kWindowBlock] ── interleave ─▶ ring (qwindow.inl) ── window ─▶ quads
//     ── merge ─▶ strip [pixel][blocks · kWindowBlock] operands ── project ─▶ y
//
// A unit is a band of rows. Where the rows at the seams of two bands would cost much, a unit is a block of channels
// instead, the strip is the whole picture, and the projection is a second phase.
namespace gapcam {
namespace {

constexpr uint32_t kKeptRows = kTapGroup - kGroupStart;  // rows of one group that the next one has too

class QuantStrips final : public Op, public Placed {
 public:
  QuantConvRows expand_rows;
  QuantWeights expand, project;
  QuantWindow window;
  WindowRing ring;
  QuantEnd expand_end, project_end;
  ByteEnd window_end;
  ConvShape s;  // of the window; its features are those of y
  bool has_expand, is_by_block;
  uint32_t stride_h, blocks;
  uint32_t bands, band_rows, strip_rows;   // bands of a picture, and rows of results of a band and of a strip
  uint32_t ring_blocks;                    // all blocks, or 1 if a band is one strip, whose ring no later strip needs
  uint32_t project_pixels, project_units;  // pixels of a unit of the second phase, and units of a picture
  const Byte *x, *x_end;
  size_t picture_bytes;  // of x
  const Byte* residual;
  Byte* y;
  char* shared;  // the strips of all pictures, if units are blocks

  uint32_t Phases() const override { return is_by_block ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override {
    return s.batch * (phase == 1 ? project_units : is_by_block ? blocks : bands);
  }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_separable"); }
  size_t ScratchBytes() const override {
    if (!has_expand) return RestAt();
    return RestAt() + expand_rows.ScratchBytes(ExpandedRows() * (expand_rows.is_pointwise ? s.width : 1));
  }
  uint64_t Flops() const override {
    const uint64_t out = uint64_t{s.batch} * s.out_height * s.out_width * s.channels;
    return ExpandFlops() + 2 * out * (window.kernel_h * window.kernel_w + s.features);
  }
  uint64_t ExpandFlops() const {
    const uint64_t depth = has_expand ? uint64_t{expand_rows.taps} * expand_rows.run : 0;
    return 2 * uint64_t{s.batch} * s.height * s.width * depth * s.channels;
  }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      if (phase == 1)
        ProjectUnit(unit / project_units, unit % project_units);
      else if (is_by_block)
        RunBand(unit / blocks, 0, unit % blocks, unit % blocks + 1, static_cast<char*>(scratch));
      else
        RunBand(unit / bands, unit % bands, 0, blocks, static_cast<char*>(scratch));
    }
  }

  // Bytes from one pixel of a strip to the next.
  size_t PixelStride() const { return static_cast<size_t>(blocks) * kWindowBlock * kOperandBytes; }
  size_t SharedBytes() const { return static_cast<size_t>(s.batch) * s.out_height * s.out_width * PixelStride(); }
  // The most expanded rows of a strip.
  uint32_t ExpandedRows() const {
    const uint32_t groups = (strip_rows - 1) * stride_h / kGroupStart + 2 + (window.groups - 1) * kGroupStep;
    return Least(s.height, (groups - 1) * kGroupStart + kTapGroup);
  }
  // A row of the padded picture as one of the picture, or its nearest edge.
  uint32_t Inside(uint32_t row) const { return Least(row - Least(row, ring.pad_top), s.height); }

 private:
  // Bytes of a pixel and of a row that are expanded for a block.
  uint32_t PixelBytes(uint32_t block) const { return kWindowBlock / window.PiecesOf(block); }
  size_t RowBytes(uint32_t block) const { return static_cast<size_t>(s.width) * PixelBytes(block); }
  // Scratch memory: rings, kept rows, expanded rows, quads, pointers to groups, strip, input of the expansion.
  size_t MostRowBytes() const { return static_cast<size_t>(s.width) * kWindowBlock; }
  size_t KeptAt() const { return AlignedSize(ring_blocks * ring.Bytes()); }
  size_t RowsAt() const { return KeptAt() + AlignedSize(has_expand ? ring_blocks * kKeptRows * MostRowBytes() : 0); }
  size_t QuadsAt() const { return RowsAt() + AlignedSize(has_expand ? ExpandedRows() * MostRowBytes() : 0); }
  size_t PointersAt() const { return QuadsAt() + 2 * static_cast<size_t>(window.MostQuads()) * kQuadBytes; }
  size_t StripAt() const { return PointersAt() + AlignedSize(window.groups * sizeof(char*)); }
  size_t RestAt() const {
    return StripAt() + (is_by_block ? 0 : AlignedSize(strip_rows * s.out_width * PixelStride() + kReadAhead));
  }

  // The rows of a strip: of results, and those of the window's picture that are new to it.
  struct Strip {
    uint32_t oy, rows;
    uint32_t first_group;        // groups before this one are in the ring or no longer needed
    uint32_t top, kept, bottom;  // rows [top, kept) are those that the strip before has kept, [kept, bottom) are new
  };

  uint32_t GroupOf(uint32_t oy) const { return oy * stride_h / kGroupStart; }
  // Computes blocks [first_block, last_block) of one band of one picture.
  void RunBand(uint32_t image, uint32_t band, uint32_t first_block, uint32_t last_block, char* scratch) const {
    char* const strip_memory = is_by_block ? shared : scratch + StripAt();
    const Byte* picture = x + image * picture_bytes;
    for (uint32_t i = 0; i < ring_blocks; ++i) ring.Clear(scratch + i * ring.Bytes());
    const uint32_t end = Least((band + 1) * band_rows, s.out_height);
    uint32_t filled = 0, expanded = 0;  // the groups and rows behind those of the strip before
    for (uint32_t oy = band * band_rows, rows; oy < end; oy += rows) {
      rows = Least(strip_rows, end - oy);
      Strip strip = {oy, rows, Most(filled, GroupOf(oy)), 0, 0, 0};
      const uint32_t last = GroupOf(oy + rows - 1) + (window.groups - 1) * kGroupStep;
      strip.top = Inside(strip.first_group * kGroupStart);
      strip.bottom = Inside(last * kGroupStart + kTapGroup);
      strip.kept = strip.first_group == filled ? Most(strip.top, Least(expanded, strip.bottom)) : strip.top;
      filled = Most(filled, last + 1), expanded = Most(expanded, strip.bottom);
      QuantRows source = {};
      const uint32_t unit = expand_rows.is_pointwise ? s.width : 1;
      if (has_expand && strip.kept < strip.bottom)
        source = expand_rows.Find(picture, strip.kept * unit, (strip.bottom - strip.kept) * unit, scratch + RestAt());
      const size_t at = static_cast<size_t>(image) * s.out_height + oy;
      char* results = strip_memory + (is_by_block ? at * s.out_width * PixelStride() : 0);
      for (uint32_t block = first_block; block < last_block; ++block) {
        if (has_expand) ExpandBlock(source, strip, block, filled * kGroupStart, scratch);
        SlideBlock(picture, strip, block, scratch, results + static_cast<size_t>(block) * kWindowBlock * kOperandBytes);
      }
      if (!is_by_block) Project(results, rows * s.out_width, at * s.out_width * s.features);
    }
  }

  // Expands the new rows of a strip for one block. `next` is the padded row with which the next strip's groups begin.
  void ExpandBlock(const QuantRows& source, const Strip& strip, uint32_t block, uint32_t next, char* scratch) const {
    Byte* const rows = reinterpret_cast<Byte*>(scratch + RowsAt());
    Byte* const kept = reinterpret_cast<Byte*>(scratch + KeptAt()) + block % ring_blocks * kKeptRows * MostRowBytes();
    const size_t row_bytes = RowBytes(block);
    const uint32_t count = strip.bottom - strip.kept, first = block * kWindowBlock;
    std::memcpy(rows, kept, (strip.kept - strip.top) * row_bytes);
    // The product addresses columns from 0, so the place is moved back by the columns before this block.
    const QuantOut out = {rows + (strip.kept - strip.top) * row_bytes - first, nullptr, PixelBytes(block)};
    const bool is_one = expand_rows.is_pointwise;
    if (count > 0)
      QuantMultiply(expand, source, is_one ? 1 : count, is_one ? count * s.width : s.width, out, first,
                    Least(first + kWindowBlock, s.channels), expand_end);
    const uint32_t from = Most(Inside(next), strip.top);
    if (from < strip.bottom)
      std::memcpy(kept, rows + (from - strip.top) * row_bytes, (strip.bottom - from) * row_bytes);
  }

  // Slides the window over one block, into the block's place in the first pixel of the strip.
  void SlideBlock(const Byte* picture, const Strip& strip, uint32_t block, char* scratch, char* results) const {
    char* const own_ring = scratch + block % ring_blocks * ring.Bytes();
    Byte* const quads = reinterpret_cast<Byte*>(scratch + QuadsAt());
    const char** const groups = reinterpret_cast<const char**>(scratch + PointersAt());
    WindowSource source = {picture + block * kWindowBlock, x_end, s.channels,
                           Least(kWindowBlock, s.channels - block * kWindowBlock), window.PiecesOf(block)};
    if (has_expand) {
      source.picture = reinterpret_cast<const Byte*>(scratch + RowsAt()) - strip.top * RowBytes(block);
      source.pixel_bytes = source.columns = PixelBytes(block);
    }
    uint32_t filled = strip.first_group;
    for (uint32_t r = 0, rows; r < strip.rows; r += rows) {
      const uint32_t top = (strip.oy + r) * stride_h, group = top / kGroupStart, phase = top % kGroupStart;
      rows = window.pair && phase == 0 && r + 1 < strip.rows ? 2 : 1;
      for (uint32_t j = 0; j < window.groups; ++j) groups[j] = ring.Slot(own_ring, group + j * kGroupStep);
      filled = Most(filled, group);
      for (; filled <= group + (window.groups - 1) * kGroupStep; ++filled)
        ring.Fill(source, filled, ring.Slot(own_ring, filled));
      const QuantWindowRow row = rows == 2 ? window.pair : window.row;
      row(window, groups, block, phase, window_end, quads);
      for (uint32_t i = 0; i < rows; ++i)
        StoreOperands(quads + i * static_cast<size_t>(window.QuadsOf(block)) * kQuadBytes, block,
                      results + static_cast<size_t>(r + i) * s.out_width * PixelStride());
    }
  }

  // Turns the quads of a row of a block into operands of the projection.
  void StoreOperands(const Byte* quads, uint32_t block, char* to) const {
    // Copies, which no store of a byte can change.
    const size_t stride = PixelStride();
    if constexpr (kMostPieces > 1) {
      const uint32_t pieces = window.PiecesOf(block);
      if (pieces == 2) return StorePieces<2>(quads, stride, to);
      if (pieces == 4) return StorePieces<4>(quads, stride, to);
    }
    const uint32_t width = s.out_width, whole = kOperandBytes == 1 ? width / 4 : 0;
    for (uint32_t i = whole; i > 0; --i, quads += kQuadBytes, to += 4 * stride) {
      Raw pixels[4];
      MergeQuads(quads, pixels);
      Byte* const at = reinterpret_cast<Byte*>(to);
      Unrolled<4>(GAPCAM_BODY(pixel) { StorePixel(at + GAPCAM_AT(pixel) * stride, pixels[GAPCAM_AT(pixel)]); });
    }
    for (uint32_t ox = 4 * whole; ox < width; ox += 4, quads += kQuadBytes) {
      Raw pixels[4];
      Byte bytes[4][kWindowBlock];
      MergeQuads(quads, pixels);
      Unrolled<4>(GAPCAM_BODY(i) { StorePixel(bytes[GAPCAM_AT(i)], pixels[GAPCAM_AT(i)]); });
      for (uint32_t i = 0; i < Least(4, width - ox); ++i, to += stride)
        for (size_t at = 0; at < kWindowBlock; at += kWidened) Widen(to + at * kOperandBytes, bytes[i] + at);
    }
  }

  // The same for the last block, whose rows are cut into pieces.
  template <uint32_t kPieces>
  void StorePieces(const Byte* quads, size_t stride, char* to) const {
    constexpr uint32_t kBytes = kWindowBlock / kPieces;
    const uint32_t results = window.ResultsOf(blocks - 1), behind = (kPieces - 1) * results;
    uint32_t first = 0;
    for (; kOperandBytes == 1 && behind + first + 4 <= s.out_width; first += 4, quads += kQuadBytes) {
      Raw pixels[4];
      MergeQuads(quads, pixels);
      Unrolled<4 * kPieces>(GAPCAM_BODY(i) {
        constexpr uint32_t pixel = GAPCAM_AT(i) / kPieces, piece = GAPCAM_AT(i) % kPieces;
        StorePiece<kBytes, piece>(reinterpret_cast<Byte*>(to) + (piece * results + first + pixel) * stride,
                                  pixels[pixel]);
      });
    }
    EachOfPieces(window, quads, first, [=](uint32_t ox, const Byte* from) {
      for (size_t at = 0; at < kBytes; at += kWidened) Widen(to + ox * stride + at * kOperandBytes, from + at);
    });
  }

  // Projects `count` pixels of a strip into y from byte `at` on.
  void Project(const char* strip, uint32_t count, size_t at) const {
    QuantMultiply(project, {&strip, 1, CeilDiv(s.channels, kGroup), PixelStride()}, 1, count,
                  {y + at, residual ? residual + at : nullptr, s.features}, 0, s.features, project_end);
  }

  void ProjectUnit(uint32_t image, uint32_t unit) const {
    const uint32_t area = s.out_height * s.out_width, first = unit * project_pixels;
    const size_t pixel = static_cast<size_t>(image) * area + first;
    Project(shared + pixel * PixelStride(), Least(project_pixels, area - first), pixel * s.features);
  }
};

}  // namespace
}  // namespace gapcam
