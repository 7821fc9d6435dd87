// A depthwise qconv2d: bands of rows of one block of channels are interleaved into a ring of groups (qwindow.inl), over
// which the window slides.
namespace gapcam {
namespace {

// Interleaves rows of a picture, with padding, into the groups that a window reads.
class WindowRing {
 public:
  uint32_t height, width, channels;  // of the picture
  uint32_t pad_top, pad_left;
  uint32_t ring_width, slots;  // pixels of a group; groups of the ring
  int32_t zero;
  Byte outside[kWindowBlock];  // a pixel outside the picture

  size_t GroupBytes() const { return static_cast<size_t>(ring_width) * kPixelBytes; }
  size_t Bytes() const { return slots * GroupBytes(); }
  char* Slot(char* ring, uint32_t group) const { return ring + group % slots * GroupBytes(); }

  // Fills the columns of padding of all groups, which Fill leaves alone.
  void Clear(char* ring) const {
    for (uint32_t slot = 0; slot < slots; ++slot, ring += GroupBytes()) {
      FillPixels(ring, pad_left);
      FillPixels(ring + static_cast<size_t>(pad_left + width) * kPixelBytes, ring_width - pad_left - width);
    }
  }

  // Interleaves group `group` of the block at `picture`, the block's first byte in the picture's first pixel. `end` is the
  // end of the tensor, behind which nothing may be read.
  void Fill(const Byte* picture, const Byte* end, uint32_t columns, uint32_t group, char* to) const {
    const size_t row_bytes = static_cast<size_t>(width) * channels;
    const uint32_t first = kGroupStart * group - pad_top;  // wraps around above the picture
    const Byte* rows[kTapGroup];
    size_t steps[kTapGroup];
    bool is_inside = true;  // whole vectors may be read
    Unrolled<kTapGroup>(GAPCAM_BODY(i) {
      const uint32_t row = first + GAPCAM_AT(i);
      const bool is_row = row < height;
      const Byte* from = picture + static_cast<int32_t>(row) * static_cast<ptrdiff_t>(row_bytes);
      rows[GAPCAM_AT(i)] = is_row ? from : outside;
      steps[GAPCAM_AT(i)] = is_row ? channels : 0;
      is_inside =
          is_inside && (!is_row || columns == kWindowBlock || from + row_bytes - channels + kWindowBlock <= end);
    });
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
    return ring.Bytes() + 2 * static_cast<size_t>(window.Quads()) * kQuadBytes + window.groups * sizeof(char*);
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
    const char** groups = reinterpret_cast<const char**>(quads + 2 * static_cast<size_t>(window.Quads()) * kQuadBytes);
    const uint32_t columns = Least(kWindowBlock, s.channels - block * kWindowBlock);
    const size_t picture = static_cast<size_t>(s.height) * s.width * s.channels;
    const Byte* from = x + image * picture + block * kWindowBlock;
    const uint32_t first = band * band_rows, last = Least(first + band_rows, s.out_height);
    ring.Clear(scratch);
    uint32_t filled = first * stride_h / kGroupStart;  // groups before this one are in the ring or no longer needed
    for (uint32_t oy = first, rows; oy < last; oy += rows) {
      const uint32_t top = oy * stride_h, group = top / kGroupStart, phase = top % kGroupStart;
      rows = window.pair && phase == 0 && oy + 1 < last ? 2 : 1;
      for (uint32_t j = 0; j < window.groups; ++j) groups[j] = ring.Slot(scratch, group + j * kGroupStep);
      filled = Most(filled, group);
      for (; filled <= group + (window.groups - 1) * kGroupStep; ++filled)
        ring.Fill(from, x + s.batch * picture, columns, filled, ring.Slot(scratch, filled));
      const QuantWindowRow row = rows == 2 ? window.pair : window.row;
      row(window, groups, block, phase, end.end, quads);
      for (uint32_t r = 0; r < rows; ++r)
        StoreRow(
            quads + r * static_cast<size_t>(window.Quads()) * kQuadBytes,
            ((static_cast<size_t>(image) * s.out_height + oy + r) * s.out_width) * s.channels + block * kWindowBlock,
            columns);
    }
  }

  // Stores a row of results at byte `at` of y.
  void StoreRow(const Byte* quads, size_t at, uint32_t columns) const {
    const uint32_t width = s.out_width;
    const size_t step = s.channels;
    Byte* to = y + at;
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

// Sets the sizes of a window over a picture of s.height rows of bytes with this zero point, and of its ring.
template <class Params>
static void SetUpWindow(const Params& p, const ConvShape& s, int32_t zero, QuantWindow* window, WindowRing* ring) {
  *window = {};
  window->kernel_h = p.kernel_h, window->kernel_w = p.kernel_w, window->stride_w = p.stride_w;
  window->dilation_w = p.dilation_w, window->out_width = s.out_width;
  window->phases = p.stride_h % kGroupStart ? 2 : 1;
  window->groups = CeilDiv(p.kernel_h + window->phases - 1, kTapGroup);
  ChooseQuantRows(p.stride_h, window);
  const uint32_t needed = (window->Quads() * 4 - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1;
  *ring = {s.height,
           s.width,
           s.channels,
           p.pad_top,
           p.pad_left,
           Most(needed, p.pad_left + s.width),
           (window->groups - 1) * kGroupStep + 1,
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
