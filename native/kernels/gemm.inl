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
// The left operand: row r consists of the runs that begin at runs[t] + r * step. The last run may be shorter. The first
// `skipped` steps of the weights' depth have no run: they are not multiplied, nor are those after the last run.
struct GemmRows {
  const E* const* runs;
  uint32_t taps, run, last;
  size_t step;
  uint32_t skipped = 0;
  // One run of whole vectors, which equals the step, and the rows of a tile lie beside one another:
  // [tile of EvenTiles][vector of k][row of the tile][kLanes]. NEON alone reads this.
  bool is_packed = false;

  uint32_t Depth() const { return (taps - 1) * run + last; }
};

// Where the results of row 0 go. Each pointer may be null; `sums` are those of a pooled output, padded to whole panels.
// `residual` may be `y` itself.
struct GemmOut {
  E* y;
  const E* residual;
  float* sums;
  uint32_t stride;     // floats from one row of y (and residual) to the next
  size_t segment = 0;  // and from one segment's first row to the next one's; 0 if all rows follow one another
};

// Ends a tile of whole vectors, whose sums contain the bias already: adds the residual, applies the activation and
// stores.
template <int kRows, int kVectors>
GAPCAM_INLINE void FinishWhole(V (&acc)[kVectors][kRows], const GemmOut& out, uint32_t n0, const Activation& act) {
  const size_t stride = out.stride;
  if (out.residual) {
    const E* from = Pinned(out.residual + n0);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r, from = Pinned(from + stride)) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[v][r] += Load(from + v * kLanes);
    }
  }
  ActivateAll(act, acc);
  E* to = Pinned(out.y + n0);
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
      Wide sum = WideLoad(out.sums + n);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum = WideAdd(sum, acc[v][r]);
      WideStore(out.sums + n, sum);
    }
    if (!out.y) continue;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) StoreN(out.y + static_cast<size_t>(r) * out.stride + n, acc[v][r], count);
  }
}

typedef std::make_integer_sequence<int, kTileRows> AllRows;

// Divides rows into the fewest tiles, of nearly equal size, so that the last tile is not much smaller than the others.
struct EvenTiles {
  uint32_t tiles, size, larger;  // the first `larger` tiles have one row more than `size`

  explicit EvenTiles(uint32_t rows)
      : tiles(CeilDiv(rows, kTileRows)), size(tiles ? rows / tiles : 0), larger(rows - tiles * size) {}
  uint32_t operator[](uint32_t tile) const { return size + (tile < larger); }
  // The tile of a row, and the first row of a tile.
  uint32_t TileOf(uint32_t row) const {
    const uint32_t before = larger * (size + 1);
    return row < before ? row / (size + 1) : larger + (row - before) / size;
  }
  uint32_t FirstOf(uint32_t tile) const { return tile * size + Least(tile, larger); }
};

// One panel of packed weights: columns [first, first + width) of `columns`. Its bias begins at `bias`.
struct GemmPanel {
  const E *packed, *bias;
  uint32_t first, width, columns;
  bool is_streamed;  // read from memory and used only here, so it is worth to prefetch more of the next one
};

// Multiplies `count` rows by one panel. `out` is the place of row 0. Each tile prefetches from `ahead` on, `share` floats
// further than the tile before. Defined in gemm_tile.inl, and for NEON in gemm_neon.inl.
GAPCAM_INLINE void MultiplyPanel(const GemmRows& rows, const EvenTiles& even, const GemmPanel& panel,
                                 const GemmOut& out, const Activation& act, const E* ahead, size_t share);

// Products of one shape, whose weights follow one another: each multiplies the same number of rows by one panel, without
// bias. Their results are rows of kPanel floats.
struct GemmSeries {
  uint32_t products;
  const E *weights, *zeros;
  uint32_t width;            // columns of the panels
  E* y;                      // the first product's results
  size_t from_step, y_step;  // floats from one product's rows and results to the next one's
  bool is_kept;              // all of the weights stay in a cache, so that they may be read twice
};

// Multiplies a series, product after product. `rows` are those of the first one, of one run.
static void MultiplyEach(const GemmRows& rows, const EvenTiles& even, const GemmSeries& series) {
  const Activation none = MakeActivation(Elementwise::kNone, 0, 0);
  const size_t floats = static_cast<size_t>(rows.run) * series.width, share = floats / even.tiles / 16 * 16;
  const E *from = *rows.runs, *w = series.weights;
  GemmRows here = rows;
  here.runs = &from;
  GemmOut out = {series.y, nullptr, nullptr, kPanel};
  for (uint32_t i = 0; i < series.products; ++i, from += series.from_step, out.y += series.y_step, w += floats)
    MultiplyPanel(here, even, {w, series.zeros, 0, series.width, series.width, true}, out, none, w + floats, share);
}

// Multiplies a series, by fewer calls where the target can. Defined beside MultiplyPanel.
GAPCAM_INLINE void MultiplySeries(const GemmRows& rows, const EvenTiles& even, const GemmSeries& series);

// Multiplies `count` rows by columns [n_first, n_last), for each of `segments` groups of rows. n_first is a multiple of
// kPanel. The runs of one group follow those of the group before. `out` is the place of the very first row.
static void Multiply(const GemmWeights& weights, const GemmRows& rows, uint32_t segments, uint32_t count,
                     const GemmOut& out, uint32_t n_first, uint32_t n_last, const Activation& act) {
  const EvenTiles even(count);
  for (uint32_t n0 = n_first; n0 < n_last; n0 += kPanel) {
    const uint32_t width = PanelWidth(weights.columns, n0);
    const GemmPanel panel = {weights.packed + static_cast<size_t>(n0) * weights.depth + size_t{width} * rows.skipped,
                             weights.bias + n0,
                             n0,
                             width,
                             weights.columns,
                             false};
    GemmRows here = rows;
    GemmOut at = out;
    const size_t floats = static_cast<size_t>(width) * rows.Depth(), tiles = size_t{segments} * even.tiles,
                 share = floats / tiles / 16 * 16;
    const E* ahead = panel.packed + floats;
    for (uint32_t segment = 0; segment < segments; ++segment, here.runs += rows.taps) {
      MultiplyPanel(here, even, panel, at, act, ahead, share);
      ahead += even.tiles * share;
      const size_t done = out.segment ? out.segment : static_cast<size_t>(count) * out.stride;
      if (at.y) at.y += done;
      if (at.residual) at.residual += done;
    }
  }
}

}  // namespace
}  // namespace gapcam
