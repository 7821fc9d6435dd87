// A depthwise qconv2d: bands of rows of one block of channels are interleaved into a ring of groups (qwindow.inl), over
// which the window slides.
namespace gapcam {
namespace {

// A block of the picture under a window.
struct WindowSource {
  const Byte* picture;  // the block's first byte in the first pixel
  const Byte* end;      // the tensor's, behind which nothing may be read
  size_t pixel_bytes;   // from one pixel to the next
  uint32_t columns;     // channels of the block
  uint32_t pieces;      // QuantWindow::PiecesOf
};

// Interleaves rows of a picture, with padding, into the groups that a window reads.
class WindowRing {
 public:
  uint32_t height, width;  // of the picture
  uint32_t pad_top, pad_left;
  uint32_t ring_width, slots;        // pixels of a group; groups of the ring
  uint32_t piece_width, piece_step;  // of the last block: pixels of a group, and from one piece of a row to the next
  int32_t zero;
  Byte outside[kWindowBlock];  // a pixel outside the picture

  size_t GroupBytes() const { return static_cast<size_t>(ring_width) * kPixelBytes; }
  size_t Bytes() const { return slots * GroupBytes(); }
  char* Slot(char* ring, uint32_t group) const { return ring + group % slots * GroupBytes(); }

  // Fills the columns of padding of all groups, which Fill leaves alone where a block has whole rows.
  void Clear(char* ring) const {
    for (uint32_t slot = 0; slot < slots; ++slot, ring += GroupBytes()) {
      FillPixels(ring, pad_left);
      FillPixels(ring + static_cast<size_t>(pad_left + width) * kPixelBytes, ring_width - pad_left - width);
    }
  }

  // Interleaves a group of a block.
  void Fill(const WindowSource& source, uint32_t group, char* to) const {
    const uint32_t pieces = source.pieces, columns = source.columns;
    const size_t row_bytes = width * source.pixel_bytes;
    const uint32_t readable = kWindowBlock / pieces;       // bytes of a pixel that are read
    const uint32_t first = kGroupStart * group - pad_top;  // wraps around above the picture
    const Byte* rows[kTapGroup];
    size_t steps[kTapGroup];
    bool is_inside = true;  // whole vectors may be read
    Unrolled<kTapGroup>(GAPCAM_BODY(i) {
      const uint32_t row = first + GAPCAM_AT(i);
      const bool is_row = row < height;
      const Byte* from = source.picture + static_cast<int32_t>(row) * static_cast<ptrdiff_t>(row_bytes);
      rows[GAPCAM_AT(i)] = is_row ? from : outside;
      steps[GAPCAM_AT(i)] = is_row ? source.pixel_bytes : 0;
      is_inside = is_inside &&
                  (!is_row || columns >= readable || from + row_bytes - source.pixel_bytes + readable <= source.end);
    });
    if (pieces > 1) return FillPieces(rows, steps, is_inside ? readable : columns, pieces, to);
    to += static_cast<size_t>(pad_left) * kPixelBytes;
    if (is_inside)
      InterleaveRows(rows, steps, width, to);
    else
      InterleaveSome(rows, steps, columns, to);
  }

 private:
  // Interleaves pixels of which only some channels may be read.
  __attribute__((noinline)) void InterleaveSome(const Byte* const (&rows)[kTapGroup], const size_t (&steps)[kTapGroup],
                                                uint32_t columns, char* to) const {
    const size_t none[kTapGroup] = {};
    for (uint32_t pixel = 0; pixel < width; ++pixel, to += kPixelBytes) {
      Byte copies[kTapGroup][kWindowBlock] = {};
      const Byte* at[kTapGroup];
      for (uint32_t i = 0; i < kTapGroup; ++i) {
        PutBytes(copies[i], rows[i] + pixel * steps[i], columns);
        at[i] = copies[i];
      }
      InterleaveRows(at, none, 1, to);
    }
  }

  // Interleaves pieces of rows, of which so many bytes of a pixel may be read, with the columns of padding.
  void FillPieces(const Byte* const (&rows)[kTapGroup], const size_t (&steps)[kTapGroup], uint32_t readable,
                  uint32_t pieces, char* to) const {
    // Pixels before `first` or from `last` on are outside the picture in one of the pieces.
    const uint32_t first = Least(pad_left, piece_width), behind = pad_left + width,
                   last = Most(first, Least(piece_width, behind - Least(behind, (pieces - 1) * piece_step)));
    if (readable < kWindowBlock / pieces || first == last)
      return InterleaveEdge(rows, steps, readable, pieces, 0, piece_width, to);
    InterleaveEdge(rows, steps, readable, pieces, 0, first, to);
    const Byte* at[kTapGroup];
    size_t apart[kTapGroup];
    Unrolled<kTapGroup>(GAPCAM_BODY(i) {
      at[GAPCAM_AT(i)] = rows[GAPCAM_AT(i)] + (first - pad_left) * steps[GAPCAM_AT(i)];
      apart[GAPCAM_AT(i)] = piece_step * steps[GAPCAM_AT(i)];
    });
    if (pieces == 2)
      InterleavePieces<2>(at, steps, apart, last - first, to + first * kPixelBytes);
    else
      InterleavePieces<4>(at, steps, apart, last - first, to + first * kPixelBytes);
    InterleaveEdge(rows, steps, readable, pieces, last, piece_width, to);
  }

  // Interleaves pixels [first, last) of the pieces. Some of them may be outside the picture.
  __attribute__((noinline)) void InterleaveEdge(const Byte* const (&rows)[kTapGroup], const size_t (&steps)[kTapGroup],
                                                uint32_t readable, uint32_t pieces, uint32_t first, uint32_t last,
                                                char* to) const {
    const size_t none[kTapGroup] = {};
    for (uint32_t pixel = first; pixel < last; ++pixel) {
      Byte copies[kTapGroup][kWindowBlock];
      const Byte* at[kTapGroup];
      for (uint32_t i = 0; i < kTapGroup; ++i) {
        at[i] = copies[i];
        std::memcpy(copies[i], outside, kWindowBlock);
        for (uint32_t piece = 0; piece < pieces; ++piece) {
          const uint32_t x = piece * piece_step + pixel - pad_left;  // wraps around left of the picture
          if (x < width) std::memcpy(copies[i] + piece * (kWindowBlock / pieces), rows[i] + x * steps[i], readable);
        }
      }
      InterleaveRows(at, none, 1, to + static_cast<size_t>(pixel) * kPixelBytes);
    }
  }

  void FillPixels(char* to, uint32_t pixels) const {
    const Operands value = SetOperands(zero);
    for (uint32_t i = 0; i < 4 * pixels; ++i, to += kOperandsBytes) std::memcpy(to, &value, kOperandsBytes);
  }
};

// A unit is a band of rows of one block of channels.
class QuantDepthwise final : public Op, public Placed {
 public:
  QuantWindow window;
  WindowRing ring;
  ConvShape s;
  uint32_t stride_h, blocks, band_rows, bands;
  const Byte* x;
  const Byte* residual;
  Byte* y;
  Byte* pooled;
  QuantEnd end;
  MeanEnd mean;

  uint32_t Phases() const override { return pooled ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override {
    return s.batch * (phase == 1 ? CeilDiv(s.channels, kMeanChunk) : bands * blocks);
  }
  size_t ScratchBytes() const override {
    return ring.Bytes() + 2 * static_cast<size_t>(window.MostQuads()) * kQuadBytes + window.groups * sizeof(char*);
  }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_depthwise"); }
  uint64_t Flops() const override {
    return 2ull * s.batch * s.out_height * s.out_width * s.channels * window.kernel_h * window.kernel_w;
  }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      if (phase == 0)
        RunBand(unit / blocks / bands, unit / blocks % bands, unit % blocks, static_cast<char*>(scratch));
      else
        MeanUnit(mean, y, s.out_height * s.out_width, s.channels, unit, pooled);
    }
  }

 private:
  void RunBand(uint32_t image, uint32_t band, uint32_t block, char* scratch) const {
    Byte* quads = reinterpret_cast<Byte*>(scratch + ring.Bytes());
    const char** groups =
        reinterpret_cast<const char**>(quads + 2 * static_cast<size_t>(window.MostQuads()) * kQuadBytes);
    const uint32_t columns = Least(kWindowBlock, s.channels - block * kWindowBlock);
    const size_t picture = static_cast<size_t>(s.height) * s.width * s.channels;
    const WindowSource source = {x + image * picture + block * kWindowBlock, x + s.batch * picture, s.channels, columns,
                                 window.PiecesOf(block)};
    const uint32_t first = band * band_rows, last = Least(first + band_rows, s.out_height);
    ring.Clear(scratch);
    uint32_t filled = first * stride_h / kGroupStart;  // groups before this one are in the ring or no longer needed
    for (uint32_t oy = first, rows; oy < last; oy += rows) {
      const uint32_t top = oy * stride_h, group = top / kGroupStart, phase = top % kGroupStart;
      rows = window.pair && phase == 0 && oy + 1 < last ? 2 : 1;
      for (uint32_t j = 0; j < window.groups; ++j) groups[j] = ring.Slot(scratch, group + j * kGroupStep);
      filled = Most(filled, group);
      for (; filled <= group + (window.groups - 1) * kGroupStep; ++filled)
        ring.Fill(source, filled, ring.Slot(scratch, filled));
      const QuantWindowRow row = rows == 2 ? window.pair : window.row;
      row(window, groups, block, phase, end.end, quads);
      for (uint32_t r = 0; r < rows; ++r)
        StoreRow(
            quads + r * static_cast<size_t>(window.QuadsOf(block)) * kQuadBytes, block,
            ((static_cast<size_t>(image) * s.out_height + oy + r) * s.out_width) * s.channels + block * kWindowBlock,
            columns);
    }
  }

  // Stores a row of results of a block at byte `at` of y.
  void StoreRow(const Byte* quads, uint32_t block, size_t at, uint32_t columns) const {
    const uint32_t width = s.out_width;
    const size_t step = s.channels;
    Byte* to = y + at;
    if (window.PiecesOf(block) > 1) {
      EachOfPieces(window, quads, 0, [&](uint32_t ox, const Byte* bytes) { PutBytes(to + ox * step, bytes, columns); });
      if (residual) AddResidual(end, residual + at, to, width, columns, step);
      return;
    }
    uint32_t ox = 0;
    for (; columns == kWindowBlock && ox + 4 <= width; ox += 4, quads += kQuadBytes, to += 4 * step) {
      Raw pixels[4];
      MergeQuads(quads, pixels);
      Unrolled<4>(GAPCAM_BODY(i) { StorePixel(to + GAPCAM_AT(i) * step, pixels[GAPCAM_AT(i)]); });
    }
    for (; ox < width; ox += 4, quads += kQuadBytes, to += 4 * step) {
      Raw pixels[4];
      Byte bytes[4 * kWindowBlock];
      MergeQuads(quads, pixels);
      if (columns == kWindowBlock) {  // the last pixels of a row
        StorePixel(to, pixels[0]);
        if (width - ox > 1) StorePixel(to + step, pixels[1]);
        if (width - ox > 2) StorePixel(to + 2 * step, pixels[2]);
        continue;
      }
      Unrolled<4>(GAPCAM_BODY(i) { StorePixel(bytes + GAPCAM_AT(i) * kWindowBlock, pixels[GAPCAM_AT(i)]); });
      StoreRows(bytes, static_cast<int>(Least(4, width - ox)), kWindowBlock, columns, to, step);
    }
    if (residual) AddResidual(end, residual + at, y + at, width, columns, step);
  }
};

// Chooses bands: enough units for the threads, and an input band that stays in the second-level cache while its blocks
// are computed. Bands begin at even rows.
static void ChooseBands(QuantDepthwise* op, size_t cache_bytes) {
  constexpr uint32_t kWantedUnits = 24;
  const ConvShape& s = op->s;
  const uint32_t row_bytes = s.width * s.channels * op->stride_h;
  const uint32_t cached = Most(4, static_cast<uint32_t>(cache_bytes / 4) / row_bytes);
  const uint32_t wanted = CeilDiv(kWantedUnits, s.batch * op->blocks);
  op->band_rows = CeilDiv(Least(cached, CeilDiv(s.out_height, wanted)), 2) * 2;
  op->bands = CeilDiv(s.out_height, op->band_rows);
}

// Sets the sizes of a window over a picture of s.height rows of s.channels bytes with this zero point, and of its ring.
template <class Params>
static void SetUpWindow(const Params& p, const ConvShape& s, int32_t zero, QuantWindow* window, WindowRing* ring) {
  *window = {};
  window->kernel_h = p.kernel_h, window->kernel_w = p.kernel_w, window->stride_w = p.stride_w;
  window->dilation_w = p.dilation_w, window->out_width = s.out_width;
  window->phases = p.stride_h % kGroupStart ? 2 : 1;
  window->groups = CeilDiv(p.kernel_h + window->phases - 1, kTapGroup);
  ChooseQuantRows(p.stride_h, window);
  window->blocks = CeilDiv(s.channels, kWindowBlock);
  window->pieces = PiecesFor(s.channels - (window->blocks - 1) * kWindowBlock, s.out_width);
  const uint32_t last = window->blocks - 1;
  *ring = {s.height,
           s.width,
           p.pad_top,
           p.pad_left,
           Most(window->Across(window->MostQuads()), p.pad_left + s.width),
           (window->groups - 1) * kGroupStep + 1,
           window->Across(window->QuadsOf(last)),
           window->ResultsOf(last) * p.stride_w,
           zero,
           {}};
  std::memset(ring->outside, zero, sizeof(ring->outside));
}

// Makes a depthwise convolution without vertical dilation.
static const Op* MakeQuantDepthwise(const StepRef& step, Allocator& memory, const char** reason) {
  const auto& p = *static_cast<const Qconv2dParams*>(step.params);
  void* place = memory.Allocate(sizeof(QuantDepthwise));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantDepthwise();
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0], *bias = InputAt(step, 2), *residual = InputAt(step, 4),
                  *pooled = OutputAt(step, 1);
  op->s = {x.dims[0], x.dims[1], x.dims[2], x.dims[3], y.dims[1], y.dims[2], x.dims[3]};
  op->x = BytesOf(&x), op->y = BytesOf(&y), op->residual = BytesOf(residual), op->pooled = BytesOf(pooled);
  op->end = EndOf(p, residual, y);
  if (pooled) op->mean = MakeMeanEnd(y, *pooled, y.dims[1] * y.dims[2], kLeastByte, kMostByte);
  op->stride_h = p.stride_h;
  op->blocks = CeilDiv(op->s.channels, kWindowBlock);
  SetUpWindow(p, op->s, x.zero_point, &op->window, &op->ring);
  ChooseBands(op, step.cache_bytes);
  WeightSource source = {};
  source.tensor = step.inputs[1];
  source.bias = bias ? static_cast<const int32_t*>(bias->data) : nullptr;
  source.scales = static_cast<const float*>(step.inputs[3]->data);
  source.position_stride = 1, source.column_stride = p.kernel_h * p.kernel_w;
  source.columns = op->s.channels, source.taps = p.kernel_h, source.run = p.kernel_w, source.channels = 1;
  return PackQuantWindow(source, x.zero_point, memory, &op->window) ? op : GAPCAM_NO_MEMORY;
}

// Makes a convolution: by a window if each channel is filtered by itself and the kernel's rows are neighbours.
static const Op* MakeQuantConv2d(const StepRef& step, Allocator& memory, const char** reason) {
  const auto& p = *static_cast<const Qconv2dParams*>(step.params);
  const bool is_depthwise = p.groups > 1 && p.groups == step.inputs[0]->dims[3] && p.groups == step.inputs[1]->dims[0];
  return is_depthwise && p.dilation_h == 1 ? MakeQuantDepthwise(step, memory, reason)
                                           : MakeQuantConv(step, memory, reason);
}

}  // namespace
}  // namespace gapcam
