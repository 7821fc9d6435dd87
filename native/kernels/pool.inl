// Maximum and average over windows of a picture. A unit is one row of outputs.
namespace gapcam {
namespace {

// A pool2d step.
class Pool2d final : public Op, public Placed {
 public:
  Pool2dParams p;
  uint32_t batch, height, width, channels, out_height, out_width;
  const E* x;
  E* y;

  uint32_t Units(uint32_t) const override { return batch * out_height; }
  const char* Kernel() const override {
    return p.op == Pool::kMax ? GAPCAM_KERNEL("f32_maxpool") : GAPCAM_KERNEL("f32_avgpool");
  }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t row = first; row < last; ++row) RunRow(row / out_height, row % out_height);
  }

  // The kernel positions of one output along one axis.
  struct Span {
    int64_t origin;        // input position of the window's first element; may be negative
    uint32_t first, last;  // kernel positions [first, last) that lie inside the input
    uint32_t counted;      // kernel positions inside the input and its padding
  };
  const Span* across;  // one for each output column

  static Span SpanOf(uint32_t out, uint32_t stride, uint32_t before, uint32_t after, uint32_t dilation, uint32_t kernel,
                     uint32_t size) {
    Span span = {static_cast<int64_t>(out) * stride - before, 0, 0, 0};
    bool is_found = false;
    for (uint32_t k = 0; k < kernel; ++k) {
      const int64_t i = span.origin + static_cast<int64_t>(k) * dilation;
      if (i < static_cast<int64_t>(size) + after) ++span.counted;
      if (i < 0 || i >= size) continue;
      if (!is_found) span.first = k, is_found = true;
      span.last = k + 1;
    }
    return span;
  }

 private:
  void RunRow(uint32_t image, uint32_t oy) const {
    const Span v = SpanOf(oy, p.stride_h, p.pad_top, p.pad_bottom, p.dilation_h, p.kernel_h, height);
    const E* picture = x + static_cast<size_t>(image) * height * width * channels;
    const E* top = picture + (v.origin + static_cast<int64_t>(v.first) * p.dilation_h) * width * channels;
    E* to = y + (static_cast<size_t>(image) * out_height + oy) * out_width * channels;
    for (uint32_t ox = 0; ox < out_width; ++ox, to += channels) {
      const Span& h = across[ox];
      const E* corner = top + (h.origin + static_cast<int64_t>(h.first) * p.dilation_w) * channels;
      const uint32_t rows = v.last - v.first, columns = h.last - h.first;
      const float scale = 1.0f / static_cast<float>(p.count_padding ? v.counted * h.counted : rows * columns);
      if (p.op == Pool::kMax)
        Reduce<true>(corner, rows, columns, scale, to);
      else
        Reduce<false>(corner, rows, columns, scale, to);
    }
  }

  // One output pixel from the `rows` by `columns` input pixels that begin at `corner`.
  template <bool kIsMax>
  void Reduce(const E* corner, uint32_t rows, uint32_t columns, float scale, E* to) const {
    uint32_t c = 0;
    for (; c + 2 * kLanes <= channels; c += 2 * kLanes) {
      V acc[2] = {Set(kIsMax ? -__builtin_inff() : 0.0f), Set(kIsMax ? -__builtin_inff() : 0.0f)};
      for (uint32_t ky = 0; ky < rows; ++ky) {
        const E* from = corner + static_cast<size_t>(ky) * p.dilation_h * width * channels + c;
        for (uint32_t kx = 0; kx < columns; ++kx, from += static_cast<size_t>(p.dilation_w) * channels) {
          for (int i = 0; i < 2; ++i)
            acc[i] = kIsMax ? Greater(acc[i], Load(from + i * kLanes)) : acc[i] + Load(from + i * kLanes);
        }
      }
      for (int i = 0; i < 2; ++i) Store(to + c + i * kLanes, kIsMax ? acc[i] : acc[i] * Set(scale));
    }
    for (; c < channels; c += kLanes) {
      const int lanes = static_cast<int>(Least(kLanes, channels - c));
      V acc = Set(kIsMax ? -__builtin_inff() : 0.0f);
      for (uint32_t ky = 0; ky < rows; ++ky) {
        const E* from = corner + static_cast<size_t>(ky) * p.dilation_h * width * channels + c;
        for (uint32_t kx = 0; kx < columns; ++kx, from += static_cast<size_t>(p.dilation_w) * channels) {
          acc = kIsMax ? Greater(acc, LoadN(from, lanes)) : acc + LoadN(from, lanes);
        }
      }
      StoreN(to + c, kIsMax ? acc : acc * Set(scale), lanes);
    }
  }
};

static const Op* MakePool2d(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Pool2d));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Pool2d();
  const TensorRef &in = *step.inputs[0], &out = *step.outputs[0];
  op->p = *static_cast<const Pool2dParams*>(step.params);
  op->batch = in.dims[0], op->height = in.dims[1], op->width = in.dims[2], op->channels = in.dims[3];
  op->out_height = out.dims[1], op->out_width = out.dims[2];
  op->x = DataOf(&in);
  op->y = DataOf(&out);
  auto* across = static_cast<Pool2d::Span*>(memory.Allocate(op->out_width * sizeof(Pool2d::Span)));
  if (!across) return GAPCAM_NO_MEMORY;
  const Pool2dParams& p = op->p;
  for (uint32_t ox = 0; ox < op->out_width; ++ox)
    across[ox] = Pool2d::SpanOf(ox, p.stride_w, p.pad_left, p.pad_right, p.dilation_w, p.kernel_w, op->width);
  op->across = across;
  return op;
}

}  // namespace
}  // namespace gapcam
