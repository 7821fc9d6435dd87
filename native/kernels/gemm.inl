// The matrix product behind convolutions and dense layers: rows of activations times panels of packed weights
// (gemm_weights.inl). Bias, residual and activation are applied before a result is stored.
//
//   left operand:  row r = runs[0] + r·step, runs[1] + r·step, …     each of `run` floats, the last one of `last`
//
// A 1×1 convolution has one run of C floats, a k×k convolution one run of kernelW·C floats per kernel row (so no im2col
// buffer is written), and channels that are stored in blocks have one run per block.
namespace gapcam {
namespace {

#if defined(GAPCAM_TARGET_AVX512)
constexpr int kTileRows = 14;  // 14×2 accumulators + 2 weights + 1 broadcast of 32 registers
#elif defined(GAPCAM_TARGET_AVX2)
constexpr int kTileRows = 6;  // 6×2 + 2 + 1 of 16
#else
constexpr int kTileRows = 7;  // NEON: 7×3 + 7 + 3 of 32; the maps of most networks are 7 · 2ⁿ wide
#endif
// Rows of the left operand that share one base address, so that few registers hold addresses.
#if defined(GAPCAM_TARGET_NEON)
constexpr int kRowsPerBase = 1;
#else
constexpr int kRowsPerBase = 3;
#endif
// Floats of the next panel's weights that a tile prefetches per four steps of k. Every tile of a panel prefetches a
// share of the next panel. Where a panel serves only a few tiles, each of them prefetches kFarAhead instead.
constexpr int kAhead = kLanes == 4 ? 0 : 32;
constexpr int kFarAhead = 2 * kAhead;

// The left operand: row r consists of the runs that begin at runs[t] + r * step. The last run may be shorter.
struct GemmRows {
  const float* const* runs;
  uint32_t taps, run, last;
  size_t step;
};

// Where the results of row 0 go. Each pointer may be null; `sums` are those of a pooled output, padded to whole panels.
struct GemmOut {
  float* y;
  const float* residual;
  float* sums;
  uint32_t stride;  // floats from one row of y (and residual) to the next
};

// Ends a tile of whole vectors, whose sums contain the bias already: adds the residual, applies the activation and
// stores.
template <int kRows, int kVectors>
GAPCAM_INLINE void FinishWhole(V (&acc)[kVectors][kRows], const GemmOut& out, uint32_t n0, const Activation& act) {
  const size_t stride = out.stride;
  if (out.residual) {
    const float* from = Pinned(out.residual + n0);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r, from = Pinned(from + stride)) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[v][r] += Load(from + v * kLanes);
    }
  }
  ActivateAll(act, acc);
  float* to = Pinned(out.y + n0);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, to = Pinned(to + stride)) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) Store(to + v * kLanes, acc[v][r]);
  }
}

// Ends any tile: columns at or beyond `columns` are dropped, and pooled sums are added up where they are wanted.
template <int kRows, int kVectors>
GAPCAM_INLINE void Finish(V (&acc)[kVectors][kRows], const GemmOut& out, uint32_t n0, uint32_t columns,
                          const Activation& act) {
  if (__builtin_expect(out.y && !out.sums && n0 + kVectors * kLanes <= columns, true))
    return FinishWhole<kRows, kVectors>(acc, out, n0, act);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const uint32_t n = n0 + v * kLanes;
    if (n >= columns) break;
    const int count = static_cast<int>(Least(kLanes, columns - n));
    if (out.residual) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) acc[v][r] += LoadN(out.residual + static_cast<size_t>(r) * out.stride + n, count);
    }
    ActivateAll(act, acc[v]);
    if (out.sums) {
      V sum = Load(out.sums + n);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum += acc[v][r];
      Store(out.sums + n, sum);
    }
    if (!out.y) continue;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) StoreN(out.y + static_cast<size_t>(r) * out.stride + n, acc[v][r], count);
  }
}

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
#if defined(GAPCAM_TARGET_NEON)
  // The left operand is read as vectors of four k, whose lanes multiply the vectors of weights. Weights are read in
  // pairs.
  GAPCAM_MEMBER void AddFour(const float* const (&base)[kBases], size_t, size_t k, const float* w) {
    V x[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) x[r] = Load(base[r] + k);
    AddPairs(x, w, std::make_integer_sequence<int, 2 * kVectors>());
  }

  template <int... kPair>
  GAPCAM_MEMBER void AddPairs(const V (&x)[kRows], const float* w, std::integer_sequence<int, kPair...>) {
    (AddPair<kPair>(x, w), ...);
  }

  template <int kPair>
  GAPCAM_MEMBER void AddPair(const V (&x)[kRows], const float* w) {
    constexpr int kFirst = 2 * kPair, kSecond = kFirst + 1;
    const V first = Load(w + kFirst * kLanes), second = Load(w + kSecond * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
      whole[kFirst % kVectors][r] = vfmaq_laneq_f32(whole[kFirst % kVectors][r], first, x[r], kFirst / kVectors);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
      whole[kSecond % kVectors][r] = vfmaq_laneq_f32(whole[kSecond % kVectors][r], second, x[r], kSecond / kVectors);
  }
#else
  GAPCAM_MEMBER void AddFour(const float* const (&base)[kBases], size_t step, size_t k, const float* w) {
    Add(base, step, k, w);
    Add(base, step, k + 1, w + kWidth);
    Add(base, step, k + 2, w + 2 * kWidth);
    Add(base, step, k + 3, w + 3 * kWidth);
  }
#endif
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

typedef std::make_integer_sequence<int, kTileRows> AllRows;

// The tile functions for a panel of `width` columns.
GAPCAM_INLINE const TileFunction* TilesFor(uint32_t width) {
#if defined(GAPCAM_TARGET_AVX512)
  if (width == kHalfLanes) return TilesOf<0, true, kAhead>(AllRows());
  if (width == kLanes + kHalfLanes) return TilesOf<1, true, kAhead>(AllRows());
#endif
#if defined(GAPCAM_TARGET_NEON)
  if (width == 3 * kLanes) return TilesOf<3, false, kAhead>(AllRows());
#endif
  return width == kLanes ? TilesOf<1, false, kAhead>(AllRows()) : TilesOf<2, false, kAhead>(AllRows());
}

// The same for a panel that is read from memory and serves `tiles` tiles. With one or two tiles the processor would
// wait for memory, so they prefetch twice as much.
GAPCAM_INLINE const TileFunction* StreamingTilesFor(uint32_t width, uint32_t tiles) {
  if (kLanes == 16 && width == kPanel && tiles <= 2) return TilesOf<2, false, kFarAhead>(AllRows());
  return TilesFor(width);
}

// Divides rows into the fewest tiles, of nearly equal size, so that the last tile is not much smaller than the others.
struct EvenTiles {
  uint32_t tiles, size, larger;  // the first `larger` tiles have one row more than `size`

  explicit EvenTiles(uint32_t rows)
      : tiles(CeilDiv(rows, kTileRows)), size(tiles ? rows / tiles : 0), larger(rows - tiles * size) {}
  uint32_t operator[](uint32_t tile) const { return size + (tile < larger); }
};

// Multiplies `count` rows by columns [n_first, n_last), for each of `segments` groups of rows. n_first is a multiple of
// kPanel. The runs of one group follow those of the group before. `out` is the place of the very first row; the results
// of all rows follow one another there.
static void Multiply(const GemmWeights& weights, const GemmRows& rows, uint32_t segments, uint32_t count,
                     const GemmOut& out, uint32_t n_first, uint32_t n_last, const Activation& act) {
  const EvenTiles even(count);
  for (uint32_t n0 = n_first; n0 < n_last; n0 += kPanel) {
    const float* w = weights.packed + static_cast<size_t>(n0) * weights.depth;
    const uint32_t width = PanelWidth(weights.columns, n0);
    const TileFunction* function = TilesFor(width);
    GemmRows here = rows;
    GemmOut at = out;
    const float* ahead = w + static_cast<size_t>(width) * weights.depth;
    const size_t share = static_cast<size_t>(width) * weights.depth / (segments * even.tiles) / 16 * 16;
    for (uint32_t segment = 0; segment < segments; ++segment, here.runs += rows.taps) {
      for (uint32_t tile = 0, m = 0; tile < even.tiles; m += even[tile++]) {
        function[even[tile] - 1](here, m, w, weights.bias + n0, at, n0, weights.columns, act, ahead);
        ahead += share;
        const size_t done = static_cast<size_t>(even[tile]) * out.stride;
        if (at.y) at.y += done;
        if (at.residual) at.residual += done;
      }
    }
  }
}

}  // namespace
}  // namespace gapcam
