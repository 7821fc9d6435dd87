// The left operand of an integer convolution: finds, or copies and widens, the bytes under each output pixel. Bytes are
// copied where the kernel reaches over the border (padding is the zero point), where a run does not end with a whole
// group, and on targets that multiply words.
namespace gapcam {
namespace {

constexpr size_t kReadAhead = 64;  // bytes behind the copied rows that a run's last group may touch

GAPCAM_INLINE size_t AlignedSize(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Copies bytes as operands of the product.
static void CopyOperands(char* to, const Byte* from, size_t count) {
  if (kOperandBytes == 1) {
    std::memcpy(to, from, count);
    return;
  }
  size_t i = 0;
  for (; i + kWidened <= count; i += kWidened) Widen(to + i * kOperandBytes, from + i);
  for (; i < count; ++i) PutWeight<ProductFormat>(to + i * kOperandBytes, from[i]);
}

static void FillOperands(char* to, int32_t value, size_t count) {
  if (kOperandBytes == 1) {
    std::memset(to, value, count);
    return;
  }
  for (size_t i = 0; i < count; ++i) to = PutWeight<ProductFormat>(to, value);
}

// The same division of a convolution into runs as ConvRows in conv.inl.
class QuantConvRows {
 public:
  Conv2dParams p;  // without its activation
  ConvShape s;
  int32_t zero;       // of the input
  bool is_pointwise;  // 1×1, stride 1, no padding: output pixel i reads input pixel i, through the whole picture
  bool is_padded;
  bool is_copied;
  uint32_t taps, run;  // runs of an output pixel, and elements in each

  void SetUp(const Conv2dParams& params, const ConvShape& shape, int32_t x_zero) {
    p = params, s = shape, zero = x_zero;
    const bool is_point = p.kernel_h == 1 && p.kernel_w == 1;
    is_padded = p.pad_top || p.pad_left || p.pad_bottom || p.pad_right;
    is_pointwise = is_point && p.stride_h == 1 && p.stride_w == 1 && !is_padded;
    const bool is_joined = p.dilation_w == 1;
    is_copied = kOperandBytes > 1 || is_padded || (p.groups > 1 && !is_point);
    taps = is_joined ? p.kernel_h : p.kernel_h * p.kernel_w;
    run = is_joined ? p.kernel_w * GroupChannels() : GroupChannels();
    is_copied = is_copied || run % kGroup != 0;
  }

  uint32_t GroupChannels() const { return s.channels / p.groups; }
  uint32_t Groups() const { return CeilDiv(run, kGroup); }
  // Scratch bytes for `count` output rows, or pixels if pointwise.
  size_t ScratchBytes(uint32_t count) const {
    const size_t pixels = is_pointwise ? count : static_cast<size_t>(InputRows(count)) * PaddedWidth();
    const size_t pointers = is_pointwise ? 1 : static_cast<size_t>(count) * taps;
    return AlignedSize(pointers * sizeof(char*)) + (is_copied ? AlignedSize(pixels * PixelBytes()) + kReadAhead : 0);
  }

  // Finds the runs of the first pixel of each of `count` output rows, starting at row `first`; if pointwise, of pixel
  // `first`. `picture` points at the first pixel in this group.
  QuantRows Find(const Byte* picture, uint32_t first, uint32_t count, char* scratch) const {
    const char** const runs = reinterpret_cast<const char**>(scratch);
    char* const copied = scratch + AlignedSize((is_pointwise ? 1 : static_cast<size_t>(count) * taps) * sizeof(char*));
    const size_t pixel = is_copied ? PixelBytes() : s.channels;
    if (is_pointwise) {
      const Byte* from = picture + static_cast<size_t>(first) * s.channels;
      runs[0] = is_copied ? copied : reinterpret_cast<const char*>(from);
      if (is_copied) CopyPixels(from, count, copied);
      return {runs, 1, Groups(), pixel};
    }
    const size_t row = (is_copied ? PaddedWidth() : s.width) * pixel;
    const char* rows = reinterpret_cast<const char*>(picture) + static_cast<size_t>(first) * p.stride_h * row;
    if (is_copied) {
      CopyRows(picture, first, count, copied);
      rows = copied;
    }
    const char** to = runs;
    const uint32_t across = taps / p.kernel_h;  // 1, or kernel_w where the pixels of a kernel row are not adjacent
    for (uint32_t oy = 0; oy < count; ++oy) {
      for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
        for (uint32_t kx = 0; kx < across; ++kx)
          *to++ = rows + (oy * p.stride_h + ky * p.dilation_h) * row + static_cast<size_t>(kx) * p.dilation_w * pixel;
      }
    }
    return {runs, taps, Groups(), p.stride_w * pixel, p.stride_h * row};
  }

 private:
  uint32_t InputRows(uint32_t rows) const { return (rows - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1; }
  uint32_t PaddedWidth() const { return (s.out_width - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1; }
  // Bytes from pixel to pixel of the copy. A run of one pixel must begin at a whole number of elements only.
  size_t PixelBytes() const { return static_cast<size_t>(GroupChannels()) * kOperandBytes; }

  // Copies this group's channels of `count` pixels.
  void CopyPixels(const Byte* from, uint32_t count, char* to) const {
    const uint32_t c = GroupChannels();
    if (c == s.channels) return CopyOperands(to, from, static_cast<size_t>(count) * c);
    for (uint32_t i = 0; i < count; ++i, from += s.channels, to += PixelBytes()) CopyOperands(to, from, c);
  }

  // Copies the input rows under `count` output rows from oy on, with the zero point outside the picture.
  void CopyRows(const Byte* picture, uint32_t oy, uint32_t count, char* to) const {
    const uint32_t c = GroupChannels(), width = PaddedWidth();
    const uint32_t left = Least(p.pad_left, width), inside = Least(s.width, width - left),
                   right = width - left - inside;
    int64_t iy = static_cast<int64_t>(oy) * p.stride_h - p.pad_top;
    for (uint32_t r = 0; r < InputRows(count); ++r, ++iy, to += width * PixelBytes()) {
      if (iy < 0 || iy >= s.height) {
        FillOperands(to, zero, static_cast<size_t>(width) * c);
        continue;
      }
      FillOperands(to, zero, static_cast<size_t>(left) * c);
      CopyPixels(picture + static_cast<size_t>(iy) * s.width * s.channels, inside, to + left * PixelBytes());
      FillOperands(to + (left + inside) * PixelBytes(), zero, static_cast<size_t>(right) * c);
    }
  }
};

}  // namespace
}  // namespace gapcam
