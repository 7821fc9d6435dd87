// The tiles of a product on NEON, in assembly: compilers spill sums or keep every address in a register, and need 5 to
// 20 % more instructions. One text serves every number of rows and vectors; the assembler evaluates its conditions.
//
//   v0 … v6     one vector of k of each row; its lanes multiply     v7 … v10    vectors of weights, read in pairs
//   v11 … v31   the sums: column c of row r is v(11 + 3r + c)       x9 … x15    where the rows are read
//
// Packed rows (GemmRows::is_packed) are read in pairs too, all at x9: 7×12 takes 95 instructions for 84 products, not 98.
//
// Packed rows allow a series of products of one shape, as Winograd's are, in one call.
//
// A sum begins at the bias and adds its products in ascending order of k, as Sums in gemm.inl does.
namespace gapcam {
namespace {

// What the assembly reads from memory, by these offsets.
struct NeonTiles {
  const E* const* runs;  // 0
  uint64_t taps;         // 8
  uint64_t run, last;    // 16: elements of a run, and of the last one
  uint64_t bounds;       // 32: bounds of the results: 0 none, 1 low only, 3 both
  V low, high;           // 48
  // Of packed rows: the products of a series, and bytes from the end of one's tiles to the next one's in the left operand
  // and in y.
  uint64_t products = 1;   // 80: counted down
  uint64_t from_step = 0;  // 88
  uint64_t y_step = 0;     // 96
  uint64_t tiles = 0;      // 104
};

static_assert(offsetof(NeonTiles, run) == 16 && offsetof(NeonTiles, bounds) == 32 && offsetof(NeonTiles, low) == 48 &&
              offsetof(NeonTiles, products) == 80 && offsetof(NeonTiles, tiles) == 104);

// Computes `tiles` tiles of kRows rows and kVectors vectors of columns. `from`, `step` and `stride` are in bytes: from
// the beginning of a run to the first row, from row to row of the left operand, and of y and the residual.
template <int kRows, int kVectors, bool kPacked>
static __attribute__((noinline)) void ComputeTiles(NeonTiles& task, uint64_t tiles, uint64_t from, uint64_t step,
                                                   const E* weights, const E* bias, E* y, const E* residual,
                                                   uint64_t stride) {
  const E *const *run, *w;
  uint64_t taps, k, rest;
  const uint64_t tile_step = kRows * step;
  asm volatile(
#include "gemm_neon_tile.inl"
      : [run] "=&r"(run), [taps] "=&r"(taps), [k] "=&r"(k), [rest] "=&r"(rest), [w] "=&r"(w), [from] "+r"(from),
        [y] "+r"(y), [residual] "+r"(residual), [tiles] "+r"(tiles), [weights] "+r"(weights)
      : [task] "r"(&task), [bias] "r"(bias), [step] "r"(step), [stride] "r"(stride), [tile_step] "r"(tile_step),
        [rows] "i"(kRows), [vectors] "i"(kVectors), [lanes] "i"(kLanes), [packed] "i"(kPacked ? 1 : 0)
      : "memory", "cc", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",
        "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
        "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

typedef void (*ComputeFunction)(NeonTiles&, uint64_t, uint64_t, uint64_t, const E*, const E*, E*, const E*, uint64_t);

template <int kRows, int kVectors>
GAPCAM_INLINE ComputeFunction ComputeOf(const GemmRows& rows) {
  return rows.is_packed ? ComputeTiles<kRows, kVectors, true> : ComputeTiles<kRows, kVectors, false>;
}

// Computes tiles and ends them with Finish, where the assembly cannot: other activations, pooled sums, and columns that
// are left out.
template <int kRows, int kVectors>
static void FinishTiles(NeonTiles& task, ComputeFunction compute, uint32_t tiles, uint64_t from, uint64_t step,
                        const GemmPanel& panel, GemmOut out, const Activation& act) {
  for (uint32_t i = 0; i < tiles; ++i) {
    V rows[kRows][kVectors], acc[kVectors][kRows];
    task.products = 1;
    compute(task, 1, from + i * kRows * step, step, panel.packed, panel.bias, reinterpret_cast<E*>(rows), nullptr,
            sizeof(rows[0]));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[v][r] = rows[r][v];
    }
    Finish<kRows, kVectors>(acc, out, panel.first, panel.columns, act);
    if (out.y) out.y += static_cast<size_t>(kRows) * out.stride;
    if (out.residual) out.residual += static_cast<size_t>(kRows) * out.stride;
  }
}

#if defined(GAPCAM_TARGET_HALF)
}  // namespace
}  // namespace gapcam
#include "gemm_half.inl"
namespace gapcam {
namespace {
#endif

// Multiplies rows [first, first + tiles · kRows) by one panel.
template <int kRows, int kVectors>
static void MultiplyTiles(const GemmRows& rows, uint32_t first, uint32_t tiles, const GemmPanel& panel,
                          const GemmOut& out, const Activation& act) {
  const uint64_t step = rows.step * sizeof(E), from = first * step, offset = static_cast<size_t>(first) * out.stride;
#if defined(GAPCAM_TARGET_HALF)
  if ((rows.taps - 1) * rows.run + rows.last > kHalfSteps)
    return SumTiles<kRows, kVectors>(rows, first, tiles, panel, out, act);
#endif
  const ComputeFunction compute = ComputeOf<kRows, kVectors>(rows);
  NeonTiles task = {rows.runs, rows.taps, rows.run, rows.last, 0, Set(act.low), Set(act.high)};
  GemmOut at = out;
  if (at.y) at.y += offset;
  if (at.residual) at.residual += offset;
  const bool is_simple = act.form == ActivationForm::kNone || act.form == ActivationForm::kBounds;
  if (!is_simple || !out.y || out.sums || panel.first + kVectors * kLanes > panel.columns)
    return FinishTiles<kRows, kVectors>(task, compute, tiles, from, step, panel, at, act);
  if (act.form == ActivationForm::kBounds) task.bounds = act.high == __builtin_inff() ? 1 : 3;
  compute(task, tiles, from, step, panel.packed, panel.bias, at.y + panel.first,
          at.residual ? at.residual + panel.first : nullptr, out.stride * sizeof(E));
}

typedef void (*TilesFunction)(const GemmRows&, uint32_t, uint32_t, const GemmPanel&, const GemmOut&, const Activation&);

template <int kVectors, int... kRows>
GAPCAM_INLINE TilesFunction TilesOf(uint32_t rows, std::integer_sequence<int, kRows...>) {
  static constexpr TilesFunction kTiles[] = {MultiplyTiles<kRows + 1, kVectors>...};
  return kTiles[rows - 1];
}

GAPCAM_INLINE void MultiplyPanel(const GemmRows& rows, const EvenTiles& even, const GemmPanel& panel,
                                 const GemmOut& out, const Activation& act, const E*, size_t) {
  const auto multiply = [&](uint32_t first, uint32_t tiles, uint32_t size) {
    if (tiles == 0) return;
    const AllRows all;
    const TilesFunction function = panel.width == 3 * kLanes ? TilesOf<3>(size, all)
                                   : panel.width == kLanes   ? TilesOf<1>(size, all)
                                                             : TilesOf<2>(size, all);
    function(rows, first, tiles, panel, out, act);
  };
  multiply(0, even.larger, even.size + 1);
  multiply(even.larger * (even.size + 1), even.tiles - even.larger, even.size);
}

// The assembly for packed tiles of a number of rows.
template <int kVectors, int... kRows>
GAPCAM_INLINE ComputeFunction PackedTilesOf(uint32_t rows, std::integer_sequence<int, kRows...>) {
  static constexpr ComputeFunction kTiles[] = {ComputeTiles<kRows + 1, kVectors, true>...};
  return kTiles[rows - 1];
}

GAPCAM_INLINE void MultiplySeries(const GemmRows& rows, const EvenTiles& even, const GemmSeries& series) {
#if defined(GAPCAM_TARGET_HALF)
  const bool is_short = rows.last <= kHalfSteps;
#else
  constexpr bool is_short = true;
#endif
  if (!rows.is_packed || !is_short || (even.larger > 0 && !series.is_kept)) return MultiplyEach(rows, even, series);
  const AllRows all;
  const uint64_t step = rows.step * sizeof(E), stride = kPanel * sizeof(E);
  const auto multiply = [&](uint32_t first, uint32_t tiles, uint32_t size) {
    if (tiles == 0) return;
    const uint64_t done = uint64_t{tiles} * size;
    NeonTiles task = {rows.runs, 1, rows.run, rows.last, 0, Zero(), Zero()};
    task.products = series.products, task.tiles = tiles;
    task.from_step = series.from_step * sizeof(E) - done * step,
    task.y_step = series.y_step * sizeof(E) - done * stride;
    const ComputeFunction compute = series.width == 3 * kLanes ? PackedTilesOf<3>(size, all)
                                    : series.width == kLanes   ? PackedTilesOf<1>(size, all)
                                                               : PackedTilesOf<2>(size, all);
    compute(task, tiles, first * step, step, series.weights, series.zeros, series.y + first * kPanel, nullptr, stride);
  };
  multiply(0, even.larger, even.size + 1);
  multiply(even.larger * (even.size + 1), even.tiles - even.larger, even.size);
}

}  // namespace
}  // namespace gapcam
