// The maximum over windows, and the maximum or minimum over an axis, of bytes of one scale. Compilers turn
// the loops over channels into vector maximums.
namespace gapcam {
namespace {

template <class Byte>
constexpr Byte kLeast = static_cast<Byte>(sizeof(Byte) == 1 && static_cast<Byte>(-1) < 0 ? -128 : 0);
template <class Byte>
constexpr Byte kGreatest = static_cast<Byte>(kLeast<Byte> + 255);

// y = max(y, x) or min(y, x), element by element.
template <bool kIsMax, class Byte>
GAPCAM_INLINE void Meet(const Byte* __restrict x, uint32_t count, Byte* __restrict y) {
  for (uint32_t i = 0; i < count; ++i) y[i] = (kIsMax ? x[i] > y[i] : x[i] < y[i]) ? x[i] : y[i];
}

// A pool2d step over bytes. A unit is one row of outputs.
template <class Byte>
class MaxPoolBytes final : public Op, public Placed {
 public:
  Pool2dParams p;
  uint32_t batch, height, width, channels, out_height, out_width;
  const Byte* x;
  Byte* y;
  static constexpr uint32_t kVector = sizeof(V);
  typedef Byte Vector __attribute__((vector_size(kVector)));

  uint32_t Units(uint32_t) const override { return batch * out_height; }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_maxpool"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t row = first; row < last; ++row) {
      Byte* to = y + size_t{row} * out_width * channels;
      for (uint32_t ox = 0; ox < out_width; ++ox, to += channels) RunPixel(row / out_height, row % out_height, ox, to);
    }
  }

 private:
  // A vector of channels of all pixels under the window stays in a register; what no whole vector holds is met in y.
  void RunPixel(uint32_t image, uint32_t oy, uint32_t ox, Byte* to) const {
    uint32_t c = 0;
    for (; c + kVector <= channels; c += kVector) {
      Vector most = Vector{} + kLeast<Byte>;
      ForEachUnder(image, oy, ox, [&](const Byte* pixel) __attribute__((always_inline)) {
        Vector other;
        std::memcpy(&other, pixel + c, kVector);
        most = other > most ? other : most;
      });
      std::memcpy(to + c, &most, kVector);
    }
    if (c == channels) return;
    for (uint32_t i = c; i < channels; ++i) to[i] = kLeast<Byte>;
    ForEachUnder(image, oy, ox, [&](const Byte* pixel) { Meet<true>(pixel + c, channels - c, to + c); });
  }

  // Calls use(pixel) for each pixel of the picture under a window.
  template <class Use>
  GAPCAM_MEMBER void ForEachUnder(uint32_t image, uint32_t oy, uint32_t ox, const Use& use) const {
    for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
      const int64_t iy = int64_t{oy} * p.stride_h - p.pad_top + int64_t{ky} * p.dilation_h;
      if (iy < 0 || iy >= height) continue;
      const Byte* row = x + (size_t{image} * height + static_cast<size_t>(iy)) * width * channels;
      for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
        const int64_t ix = int64_t{ox} * p.stride_w - p.pad_left + int64_t{kx} * p.dilation_w;
        if (ix >= 0 && ix < width) use(row + static_cast<size_t>(ix) * channels);
      }
    }
  }
};

template <class Byte>
static const Op* MakeMaxPoolBytes(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(MaxPoolBytes<Byte>));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) MaxPoolBytes<Byte>();
  const TensorRef &in = *step.inputs[0], &out = *step.outputs[0];
  op->p = *static_cast<const Pool2dParams*>(step.params);
  op->batch = in.dims[0], op->height = in.dims[1], op->width = in.dims[2], op->channels = in.dims[3];
  op->out_height = out.dims[1], op->out_width = out.dims[2];
  op->x = static_cast<const Byte*>(in.data);
  op->y = static_cast<Byte*>(out.data);
  return op;
}

// A reduce step over bytes. A unit is one of `outer`.
template <class Byte>
class ReduceBytes final : public Op, public Placed {
 public:
  ReduceParams p;
  const Byte* x;
  Byte* y;

  uint32_t Units(uint32_t) const override { return p.outer; }
  const char* Kernel() const override { return GAPCAM_KERNEL("q8_reduce"); }

  void Run(uint32_t, uint32_t first, uint32_t last, void*) const override {
    for (uint32_t unit = first; unit < last; ++unit) p.op == Reduce::kMax ? RunUnit<true>(unit) : RunUnit<false>(unit);
  }

 private:
  template <bool kIsMax>
  void RunUnit(uint32_t unit) const {
    const Byte* from = x + size_t{unit} * p.length * p.inner;
    Byte* to = y + size_t{unit} * p.inner;
    for (uint32_t i = 0; i < p.inner; ++i) to[i] = kIsMax ? kLeast<Byte> : kGreatest<Byte>;
    for (uint32_t l = 0; l < p.length; ++l) Meet<kIsMax>(from + size_t{l} * p.inner, p.inner, to);
  }
};

template <class Byte>
static const Op* MakeReduceBytes(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ReduceBytes<Byte>));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ReduceBytes<Byte>();
  op->p = *static_cast<const ReduceParams*>(step.params);
  op->x = static_cast<const Byte*>(step.inputs[0]->data);
  op->y = static_cast<Byte*>(step.outputs[0]->data);
  return op;
}

}  // namespace
}  // namespace gapcam
