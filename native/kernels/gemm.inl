// The product at the heart of convolution and dense layers: rows of activations, given by pointers, times panels of
// packed weights, with bias, residual and activation applied before the result is stored.
//
//   weights, packed:  panel 0                        panel 1 …        a panel has kPanel columns; the last one has as
//                     k=0: w[0][0…kPanel)             k=0: …           many as are left, in whole grains
//                     k=1: w[1][0…kPanel)
//
// The rows of the left operand lie one step after the other in memory, and each is `taps` runs of `run` floats: for
// 1×1 one run of C, for k×k one run of kernelW·C a kernel row, so that no im2col buffer is written; for channels that lie
// in blocks one run a block.
namespace gapcam {
namespace {

#if defined(GAPCAM_TARGET_AVX512)
constexpr int kTileRows = 14;  // 14×2 accumulators + 2 weights + 1 broadcast of 32 registers
#elif defined(GAPCAM_TARGET_AVX2)
constexpr int kTileRows = 6;  // 6×2 + 2 + 1 of 16
#else
constexpr int kTileRows = 7;  // NEON: 7×3 + 7 + 3 of 32; the maps of most networks are 7 · 2ⁿ wide
#endif
#if defined(GAPCAM_TARGET_NEON)
constexpr int kPanel = 3 * kLanes;
#else
constexpr int kPanel = 2 * kLanes;
#endif
#if defined(GAPCAM_TARGET_AVX512)
constexpr int kGrain = kHalfLanes;
#else
constexpr int kGrain = kLanes;
#endif

// A base address serves this many rows of the left operand, so that few registers hold addresses.
#if defined(GAPCAM_TARGET_NEON)
constexpr int kRowsPerBase = 1;
#else
constexpr int kRowsPerBase = 3;
#endif
// Floats of weights further on that a tile calls for in four steps of k: the next panel's, of which each of a panel's tiles
// calls for a share. Where a panel serves few tiles only, each calls for more.
constexpr int kAhead = kLanes == 4 ? 0 : 32;
constexpr int kFarAhead = 2 * kAhead;

struct GemmWeights {
  const float* packed;
  const float* bias;  // padded to whole panels; zeros where the step has none
  uint32_t columns;   // N
  uint32_t depth;     // K = (taps - 1) · run + last
};

// The left operand. The runs of row r begin at runs[t] + r * step; the last one may be shorter than the others.
struct GemmRows {
  const float* const* runs;
  uint32_t taps, run, last;
  size_t step;
};

// Where the results of row 0 go: y and residual, either null; sums of a pooled output, padded to panels.
struct GemmOut {
  float* y;
  const float* residual;
  float* sums;
  uint32_t stride;  // floats from one row of y (and residual) to the next
};

GAPCAM_INLINE size_t PackedFloats(uint32_t depth, uint32_t columns) {
  return static_cast<size_t>(depth) * CeilDiv(columns, kGrain) * kGrain;
}

// Columns of the packed panel that begins at n0.
GAPCAM_INLINE uint32_t PanelWidth(uint32_t columns, uint32_t n0) {
  return Least(kPanel, CeilDiv(columns - n0, kGrain) * kGrain);
}

// Packs columns of a [K,N] matrix given by strides.
static void PackWeights(const float* w, size_t k_stride, size_t n_stride, uint32_t depth, uint32_t columns,
                        float* packed) {
  for (uint32_t n0 = 0; n0 < columns; n0 += kPanel) {
    const uint32_t width = PanelWidth(columns, n0);
    for (uint32_t k = 0; k < depth; ++k) {
      for (uint32_t j = 0; j < width; ++j) *packed++ = n0 + j < columns ? w[k * k_stride + (n0 + j) * n_stride] : 0.0f;
    }
  }
}

// The same for the panel that begins at n0, of a matrix whose rows are dense: a vector at a time, for what is packed in every frame.
static void PackPanel(const float* w, uint32_t depth, uint32_t columns, uint32_t n0, float* packed) {
  const uint32_t width = PanelWidth(columns, n0), filled = Least(width, columns - n0);
  for (uint32_t k = 0; k < depth; ++k, packed += width) {
    const float* from = w + static_cast<size_t>(k) * columns + n0;
    for (uint32_t j = 0; j < width; j += kLanes) {
      const int lanes = static_cast<int>(Least(kLanes, width - j));
      const V v = j + kLanes <= filled ? Load(from + j)
                  : j < filled         ? LoadN(from + j, static_cast<int>(filled - j))
                                       : Zero();
      lanes == kLanes ? Store(packed + j, v) : StoreN(packed + j, v, lanes);
    }
  }
}

// Bias is in already: adds the residual, applies the activation and stores whole vectors, a row after the other.
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

// The accumulators of a tile: kRows rows of kVectors whole vectors and, on AVX-512, perhaps half a one.
template <int kRows, int kVectors, bool kHalf>
struct Sums {
  V whole[kVectors > 0 ? kVectors : 1][kRows];
#if defined(GAPCAM_TARGET_AVX512)
  H half[kHalf ? kRows : 1];
#endif
  static constexpr int kWidth = kVectors * kLanes + (kHalf ? kLanes / 2 : 0);

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

  // One step of k for every row, the left operand as scalars.
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

  // Four steps of k.
#if defined(GAPCAM_TARGET_NEON)
  // The left operand comes as vectors, whose lanes multiply the vectors of weights; those come in pairs.
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

// kRows rows, from `first` on, times one panel. Calls for kCalled floats at `ahead` in four steps of k.
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

// The tiles of one panel width, by their number of rows less one.
template <int kVectors, bool kHalf, int kCalled, int... kRows>
GAPCAM_INLINE const TileFunction* TilesOf(std::integer_sequence<int, kRows...>) {
  static constexpr TileFunction kTiles[] = {Tile<kRows + 1, kVectors, kHalf, kCalled>...};
  return kTiles;
}

typedef std::make_integer_sequence<int, kTileRows> AllRows;

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

// The same for a panel that serves `tiles` tiles and is read from memory: with one or two the processor would wait for it.
GAPCAM_INLINE const TileFunction* StreamingTilesFor(uint32_t width, uint32_t tiles) {
  if (kLanes == 16 && width == kPanel && tiles <= 2) return TilesOf<2, false, kFarAhead>(AllRows());
  return TilesFor(width);
}

// Divides rows into the fewest tiles, of almost even size, so that the last is not left with a few.
struct EvenTiles {
  uint32_t tiles, size, larger;  // the first `larger` tiles have a row more than `size`

  explicit EvenTiles(uint32_t rows)
      : tiles(CeilDiv(rows, kTileRows)), size(tiles ? rows / tiles : 0), larger(rows - tiles * size) {}
  uint32_t operator[](uint32_t tile) const { return size + (tile < larger); }
};

// `count` rows times columns [n_first, n_last) (n_first a multiple of kPanel), for each of `segments` groups of rows
// whose runs follow one another; out is that of the very first row, and the results of all rows lie one after the other.
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

// Packs weights and bias into session memory. Null bias gives zeros. Returns false when memory is short.
static bool MakeGemmWeights(const float* w, size_t k_stride, size_t n_stride, uint32_t depth, uint32_t columns,
                            const float* bias, Allocator& memory, GemmWeights* result) {
  float* packed = static_cast<float*>(memory.Allocate(PackedFloats(depth, columns) * sizeof(float)));
  float* padded = static_cast<float*>(memory.Allocate((columns + kPanel) * sizeof(float)));
  if (!packed || !padded) return false;
  PackWeights(w, k_stride, n_stride, depth, columns, packed);
  if (bias) std::memcpy(padded, bias, columns * sizeof(float));
  *result = {packed, padded, columns, depth};
  return true;
}

}  // namespace
}  // namespace gapcam
