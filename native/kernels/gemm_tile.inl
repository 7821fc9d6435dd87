// A tile of a product: kTileRows rows times one panel, with its sums in registers. NEON has gemm_neon.inl instead.
namespace gapcam {
namespace {

// Rows of the left operand that share one base address, so that few registers hold addresses.
constexpr int kRowsPerBase = 3;
// Floats of the next panel's weights that a tile prefetches per four steps of k. Every tile of a panel prefetches a
// share of the next panel. Where a panel serves only a few tiles, each of them prefetches kFarAhead instead.
constexpr int kAhead = kLanes == 4 ? 0 : 32;
constexpr int kFarAhead = 2 * kAhead;

// The accumulators of a tile: kRows rows of kVectors vectors and, with kHalf on AVX-512, half a vector more.
template <int kRows, int kVectors, bool kHalf>
struct Sums {
  V whole[kVectors > 0 ? kVectors : 1][kRows];
#if defined(GAPCAM_TARGET_AVX512)
  H half[kHalf ? kRows : 1];
#endif
  static constexpr int kWidth = kVectors * kLanes + (kHalf ? kLanes / 2 : 0);

  // Sets every row to the bias.
  GAPCAM_MEMBER void Start(const float* bias) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) whole[v][r] = Load(bias + v * kLanes);
    }
#if defined(GAPCAM_TARGET_AVX512)
    if constexpr (!kHalf) return;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) half[r] = LoadHalf(bias + kVectors * kLanes);
#endif
  }

  static constexpr int kBases = CeilDiv(kRows, kRowsPerBase);

  // Adds one step of k to every row; the left operand is read as scalars.
  GAPCAM_MEMBER void Add(const float* const (&base)[kBases], size_t step, size_t k, const float* w) {
    V b[kVectors > 0 ? kVectors : 1];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) b[v] = Load(w + v * kLanes);
#if defined(GAPCAM_TARGET_AVX512)
    const H narrow = LoadHalf(w + (kHalf ? kVectors * kLanes : 0));
#endif
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const float a = base[r / kRowsPerBase][r % kRowsPerBase * step + k];
      const V x = Set(a);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) whole[v][r] = x * b[v] + whole[v][r];
#if defined(GAPCAM_TARGET_AVX512)
      if constexpr (kHalf) half[r] = (kVectors > 0 ? Lower(x) : SetHalf(a)) * narrow + half[r];
#endif
    }
  }

  // Adds four steps of k to every row.
  GAPCAM_MEMBER void AddFour(const float* const (&base)[kBases], size_t step, size_t k, const float* w) {
    Add(base, step, k, w);
    Add(base, step, k + 1, w + kWidth);
    Add(base, step, k + 2, w + 2 * kWidth);
    Add(base, step, k + 3, w + 3 * kWidth);
  }
};

// Computes kRows rows from row `first` on, times one panel. Prefetches kCalled floats at `ahead` per four steps of k.
template <int kRows, int kVectors, bool kHalf, int kCalled>
static void Tile(const GemmRows& rows, size_t first, const float* w, const float* bias, const GemmOut& out, uint32_t n0,
                 uint32_t columns, const Activation& act, const float* ahead) {
  typedef Sums<kRows, kVectors, kHalf> TileSums;
  TileSums sums;
  sums.Start(bias);
  const size_t step = rows.step;
  for (uint32_t t = 0; t < rows.taps; ++t) {
    const uint32_t run = t + 1 < rows.taps ? rows.run : rows.last;
    const float* base[TileSums::kBases];
#pragma GCC unroll 8
    for (int i = 0; i < TileSums::kBases; ++i) base[i] = Pinned(rows.runs[t] + (first + i * kRowsPerBase) * step);
    const size_t fours = run / 4 * 4;
    size_t k = 0;
    for (; k < fours; k += 4, w += 4 * TileSums::kWidth, ahead += kCalled) {
#pragma GCC unroll 8
      for (int i = 0; i < kCalled; i += 16) __builtin_prefetch(ahead + i, 0, 2);
      sums.AddFour(base, step, k, w);
    }
    for (; k < run; ++k, w += TileSums::kWidth) sums.Add(base, step, k, w);
  }
#if defined(GAPCAM_TARGET_AVX512)
  if constexpr (kHalf) {
    V acc[kVectors + 1][kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      if constexpr (kVectors > 0) acc[0][r] = sums.whole[0][r];
      acc[kVectors][r] = Widen(sums.half[r]);
    }
    return Finish<kRows, kVectors + 1>(acc, out, n0, columns, act);
  }
#endif
  if constexpr (!kHalf) Finish<kRows, kVectors>(sums.whole, out, n0, columns, act);
}

typedef void (*TileFunction)(const GemmRows&, size_t, const float*, const float*, const GemmOut&, uint32_t, uint32_t,
                             const Activation&, const float*);

// The tile functions of one panel width; the index is the number of rows minus one.
template <int kVectors, bool kHalf, int kCalled, int... kRows>
GAPCAM_INLINE const TileFunction* TilesOf(std::integer_sequence<int, kRows...>) {
  static constexpr TileFunction kTiles[] = {Tile<kRows + 1, kVectors, kHalf, kCalled>...};
  return kTiles;
}

// The tile functions for a panel of `width` columns.
GAPCAM_INLINE const TileFunction* TilesFor(uint32_t width) {
#if defined(GAPCAM_TARGET_AVX512)
  if (width == kHalfLanes) return TilesOf<0, true, kAhead>(AllRows());
  if (width == kLanes + kHalfLanes) return TilesOf<1, true, kAhead>(AllRows());
#endif
  return width == kLanes ? TilesOf<1, false, kAhead>(AllRows()) : TilesOf<2, false, kAhead>(AllRows());
}

// The same for a panel that is read from memory and serves `tiles` tiles. With one or two tiles the processor would
// wait for memory, so they prefetch twice as much.
GAPCAM_INLINE const TileFunction* StreamingTilesFor(uint32_t width, uint32_t tiles) {
  if (kLanes == 16 && width == kPanel && tiles <= 2) return TilesOf<2, false, kFarAhead>(AllRows());
  return TilesFor(width);
}

GAPCAM_INLINE void MultiplyPanel(const GemmRows& rows, const EvenTiles& even, const GemmPanel& panel,
                                 const GemmOut& out, const Activation& act, const float* ahead, size_t share) {
  const TileFunction* function = panel.is_streamed ? StreamingTilesFor(panel.width, even.tiles) : TilesFor(panel.width);
  GemmOut at = out;
  for (uint32_t tile = 0, m = 0; tile < even.tiles; m += even[tile++], ahead += share) {
    function[even[tile] - 1](rows, m, panel.packed, panel.bias, at, panel.first, panel.columns, act, ahead);
    const size_t done = static_cast<size_t>(even[tile]) * out.stride;
    if (at.y) at.y += done;
    if (at.residual) at.residual += done;
  }
}

GAPCAM_INLINE void MultiplySeries(const GemmRows& rows, const EvenTiles& even, const GemmSeries& series) {
  MultiplyEach(rows, even, series);
}

}  // namespace
}  // namespace gapcam
