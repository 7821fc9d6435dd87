// Windows that slide over each channel separately: depthwise convolution and maximum. They work on blocks of kBlock
// channels whose rows have their padding written out:
//
//   one row of a block:  [pixel][kBlock]         weights, packed:  [block][kernel row][kernel column][kBlock]
//
// Every pixel under a window then lies at a constant distance from the first one, and a few rows of a block stay in the
// first-level cache.
namespace gapcam {
namespace {

constexpr uint32_t kBlock = kIsNeon || kLanes == 4 ? 12 * kLanes : 32;  // channels of a block: a multiple of kPanel

struct Window;

// Where a row of results goes: pixels are `step` floats apart. residual and sums may be null.
struct WindowOut {
  E* y;
  const E* residual;
  float* sums;  // kBlock floats, to which the row's results are added
  size_t step;
  uint32_t columns;  // channels of this block; the last block may have fewer than kBlock
};

// Computes one row of results of one block from the kernel_h rows under it.
typedef void (*WindowRow)(const Window&, const E* const* rows, uint32_t block, const WindowOut& out);

// A window and its packed weights.
struct Window {
  bool is_max;
  uint32_t kernel_h, kernel_w, stride_w, dilation_w;
  uint32_t out_width;
  const E* weights;  // null if is_max
  const E* bias;     // padded to whole blocks
  Activation act;
  WindowRow row;  // the function for this kernel size, stride and width
};

// What all results of one vector of channels share, held in registers from tile to tile.
struct WindowEnd {
  const Activation& act;
  const bool bounded;
  const V low, high;
  const int lanes;
  const size_t step;
  E* const y;
  const E* const residual;
  float* const sums;

  GAPCAM_MEMBER WindowEnd(const Window& window, const WindowOut& out, uint32_t c)
      : act(window.act),
        bounded(act.form == ActivationForm::kBounds),
        low(Set(act.low)),
        high(Set(act.high)),
        lanes(static_cast<int>(Least(kLanes, out.columns - c))),
        step(out.step),
        y(out.y + c),
        residual(out.residual ? out.residual + c : nullptr),
        sums(out.sums ? out.sums + c : nullptr) {}

  // Whether results are only bounded and stored, in whole vectors.
  GAPCAM_MEMBER bool IsPlain() const { return bounded && !residual && !sums && lanes == kLanes; }

  // Ends kOut results from pixel `at` on, if IsPlain().
  template <int kOut>
  GAPCAM_MEMBER void FinishPlain(V (&acc)[kOut], uint32_t at) const {
    ForAll(acc, [&](V value) __attribute__((always_inline)) { return Min(high, Max(low, value)); });
    E* to = Pinned(y + at * step);
#pragma GCC unroll 8
    for (int j = 0; j < kOut; ++j, to = Pinned(to + step)) Store(to, acc[j]);
  }

  // Ends kOut results from pixel `at` on. Results before index `fresh` are in the sums already.
  template <int kOut>
  GAPCAM_MEMBER void Finish(V (&acc)[kOut], uint32_t at, int fresh) const {
    if (residual) {
#pragma GCC unroll 8
      for (int j = 0; j < kOut; ++j) acc[j] += LoadN(residual + (at + j) * step, lanes);
    }
    if (bounded)
      ForAll(acc, [&](V value) __attribute__((always_inline)) { return Min(high, Max(low, value)); });
    else
      ActivateAll(act, acc);
    if (sums) {
      Wide sum = WideLoad(sums);
#pragma GCC unroll 8
      for (int j = 0; j < kOut; ++j) sum = j < fresh ? sum : WideAdd(sum, acc[j]);
      WideStore(sums, sum);
    }
    E* to = Pinned(y + at * step);
    if (__builtin_expect(lanes == kLanes, true)) {
#pragma GCC unroll 8
      for (int j = 0; j < kOut; ++j, to = Pinned(to + step)) Store(to, acc[j]);
    } else {
#pragma GCC unroll 8
      for (int j = 0; j < kOut; ++j, to += step) StoreN(to, acc[j], lanes);
    }
  }
};

// A row for a kSize × kSize kernel with dilation 1, kOut results at a time. The last tile moves back over pixels that
// are done: it computes the same results again and needs no loop for a remainder.
template <bool kIsMax, int kSize, int kStride, int kOut>
static void WindowRowOf(const Window& window, const E* const* rows, uint32_t block, const WindowOut& out) {
  constexpr int kAcross = (kOut - 1) * kStride + kSize;
  constexpr bool kKeepWeights =
      kIsNeon && !kIsMax && kSize == 3;  // NEON has registers to spare and no operands in memory
  const E* weights = kIsMax ? nullptr : window.weights + block * (kSize * kSize * kBlock);
  for (uint32_t c = 0; c < out.columns; c += kLanes) {
    const WindowEnd end(window, out, c);
    const V start = kIsMax ? Set(-__builtin_inff()) : Load(window.bias + block * kBlock + c);
    const E* w = kIsMax ? nullptr : weights + c;
    const E* top[kSize];
#pragma GCC unroll 7
    for (int ky = 0; ky < kSize; ++ky) top[ky] = rows[ky] + c;
    V kept[kKeepWeights ? kSize * kSize : 1];
    if constexpr (kKeepWeights) {
#pragma GCC unroll 9
      for (int k = 0; k < kSize * kSize; ++k) kept[k] = Load(w + k * kBlock);
    }
    const auto tile = [&](uint32_t x, auto is_plain) __attribute__((always_inline)) {
      const uint32_t from = Least(x, window.out_width - kOut);
      V acc[kOut];
#pragma GCC unroll 8
      for (int j = 0; j < kOut; ++j) acc[j] = start;
      if (!kIsNeon && kLanes > 4) {
#pragma GCC unroll 8
        for (int j = 0; j < kOut; ++j) __builtin_prefetch(end.y + (from + j) * end.step, 1);
      }
#pragma GCC unroll 7
      for (int ky = 0; ky < kSize; ++ky) {
        const E* row = Pinned(top[ky] + from * (kStride * kBlock));
        V pixel[kAcross];
#pragma GCC unroll 32
        for (int i = 0; i < kAcross; ++i) pixel[i] = LoadOnce(row + i * kBlock);
#pragma GCC unroll 8
        for (int kx = 0; kx < kSize; ++kx) {
          const int k = ky * kSize + kx;
          const V weight = kIsMax ? Zero() : kKeepWeights ? kept[k] : Load(w + k * kBlock);
#pragma GCC unroll 8
          for (int j = 0; j < kOut; ++j)
            acc[j] = kIsMax ? Greater(acc[j], pixel[j * kStride + kx]) : pixel[j * kStride + kx] * weight + acc[j];
        }
      }
      if constexpr (decltype(is_plain)::kValue)
        end.FinishPlain<kOut>(acc, from);
      else
        end.Finish<kOut>(acc, from, static_cast<int>(x - from));
    };
    if (end.IsPlain()) {
      for (uint32_t x = 0; x < window.out_width; x += kOut) tile(x, Flag<true>());
    } else {
      for (uint32_t x = 0; x < window.out_width; x += kOut) tile(x, Flag<false>());
    }
  }
}

// A row for any window, one result at a time.
static void WindowRowPlain(const Window& window, const E* const* rows, uint32_t block, const WindowOut& out) {
  const size_t of_block = static_cast<size_t>(block) * window.kernel_h * window.kernel_w * kBlock;
  for (uint32_t c = 0; c < out.columns; c += kLanes) {
    const WindowEnd end(window, out, c);
    for (uint32_t x = 0; x < window.out_width; ++x) {
      V acc[1] = {window.is_max ? Set(-__builtin_inff()) : Load(window.bias + block * kBlock + c)};
      for (uint32_t ky = 0; ky < window.kernel_h; ++ky) {
        for (uint32_t kx = 0; kx < window.kernel_w; ++kx) {
          const V pixel =
              Load(rows[ky] + static_cast<size_t>(x * window.stride_w + kx * window.dilation_w) * kBlock + c);
          if (window.is_max)
            acc[0] = Greater(acc[0], pixel);
          else
            acc[0] = pixel * Load(window.weights + of_block + (ky * window.kernel_w + kx) * kBlock + c) + acc[0];
        }
      }
      end.Finish<1>(acc, x, 0);
    }
  }
}

// Chooses among tiles of 8, 7 and 4 results by the cost of all tiles of a row, pixels computed twice included.
template <bool kIsMax, int kSize, int kStride>
GAPCAM_INLINE WindowRow ChooseTile(uint32_t width) {
  const uint32_t eights = CeilDiv(width, 8) * 9, sevens = CeilDiv(width, 7) * 8, fours = CeilDiv(width, 4) * 5;
  if (width >= 8 && eights <= sevens && eights <= fours) return WindowRowOf<kIsMax, kSize, kStride, 8>;
  if (width >= 7 && sevens <= fours) return WindowRowOf<kIsMax, kSize, kStride, 7>;
  return width >= 4 ? WindowRowOf<kIsMax, kSize, kStride, 4> : WindowRowPlain;
}

// The row function of a window.
static WindowRow ChooseWindowRow(const Window& window) {
  if (window.kernel_h != window.kernel_w || window.dilation_w != 1) return WindowRowPlain;
  const uint32_t key = window.kernel_w * 10 + window.stride_w;
  if (window.is_max)
    return key == 32   ? ChooseTile<true, 3, 2>(window.out_width)
           : key == 22 ? ChooseTile<true, 2, 2>(window.out_width)
                       : WindowRowPlain;
  switch (key) {
    case 31: return ChooseTile<false, 3, 1>(window.out_width);
    case 32: return ChooseTile<false, 3, 2>(window.out_width);
    case 51: return ChooseTile<false, 5, 1>(window.out_width);
    case 52: return ChooseTile<false, 5, 2>(window.out_width);
    case 71: return ChooseTile<false, 7, 1>(window.out_width);
    default: return WindowRowPlain;
  }
}

// Packs the weights [channels][1][kernel_h][kernel_w] and the bias (or null) of a depthwise convolution. Returns false
// when memory is short.
static bool PackWindow(const float* w, const float* bias, uint32_t channels, Allocator& memory, Window* window) {
  const uint32_t kernel = window->kernel_h * window->kernel_w, padded = CeilDiv(channels, kBlock) * kBlock;
  auto* weights = static_cast<E*>(memory.Allocate(static_cast<size_t>(padded) * kernel * sizeof(E)));
  auto* shift = static_cast<E*>(memory.Allocate(padded * sizeof(E)));
  if (!weights || !shift) return false;
  for (uint32_t c = 0; c < channels; ++c) {
    for (uint32_t k = 0; k < kernel; ++k)
      weights[(static_cast<size_t>(c / kBlock) * kernel + k) * kBlock + c % kBlock] = static_cast<E>(w[c * kernel + k]);
  }
  if (bias) Convert(bias, channels, shift);
  window->weights = weights;
  window->bias = shift;
  return true;
}

}  // namespace
}  // namespace gapcam
