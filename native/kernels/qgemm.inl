// The integer product behind convolutions and dense layers: rows of bytes times panels of packed weights
// (qgemm_weights.inl). Sums are exact; qsimd_*.inl turns a tile of them into bytes.
//
//   left operand:  row r = runs[0] + r·step, runs[1] + r·step, …     each of `groups` groups
//
// A run is read in whole groups: where it ends within one, what follows it is multiplied by zero.
namespace gapcam {
namespace {

// The left operand. `step` is in bytes.
struct QuantRows {
  const char* const* runs;
  uint32_t taps, groups;
  size_t step;
};

// Where the results of row 0 go. `residual` may be null.
struct QuantOut {
  Byte* y;
  const Byte* residual;
  uint32_t stride;  // bytes from one row of y (and residual) to the next
};

// One panel for a tile.
struct QuantPanel {
  const char* w;
  const int32_t* bias;
  const float* scales;
  const ExtraGroup *extra, *extra_end;
  const char* extra_w;
  uint32_t columns;  // that it has results for
  bool is_small;     // QuantWeights::is_small
};

// Adds the groups that a panel multiplies again.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddExtras(I (&sums)[kVectors][kRows], const QuantRows& rows, size_t first, const QuantPanel& panel) {
  const char* w = panel.extra_w;
  for (const ExtraGroup* extra = panel.extra; extra != panel.extra_end; ++extra, w += kPanelVectors * kSumBytes) {
    const char* at = rows.runs[extra->tap] + first * rows.step + extra->offset;
    Unrolled<kRows>(GAPCAM_BODY(r) {
      const I x = BroadcastGroup(at + GAPCAM_AT(r) * rows.step);
      Unrolled<kVectors>(GAPCAM_BODY(v) {
        I& sum = sums[GAPCAM_AT(v)][GAPCAM_AT(r)];
        sum = Dot(sum, x, LoadSums(w + GAPCAM_AT(v) * kSumBytes));
      });
    });
  }
}

#if !defined(GAPCAM_TARGET_NEON)
// Adds one run to kRows rows. Moves `w` behind the weights of the run.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRun(I (&sums)[kVectors][kRows], const char* run, size_t step, uint32_t groups, const char*& w) {
  constexpr int kBases = (kRows + 2) / 3;
  const char* base[kBases];
  Unrolled<kBases>(GAPCAM_BODY(i) { base[GAPCAM_AT(i)] = Pinned(run + GAPCAM_AT(i) * 3 * step); });
  for (size_t k = 0; k < 4 * size_t{groups}; k += 4, w += kVectors * kSumBytes) {
    I b[kVectors];
    Unrolled<kVectors>(GAPCAM_BODY(v) { b[GAPCAM_AT(v)] = LoadSums(w + GAPCAM_AT(v) * kSumBytes); });
    Unrolled<kRows>(GAPCAM_BODY(r) {
      const I x = BroadcastGroup(base[GAPCAM_AT(r) / 3] + GAPCAM_AT(r) % 3 * step + k);
      Unrolled<kVectors>(GAPCAM_BODY(v) {
        I& sum = sums[GAPCAM_AT(v)][GAPCAM_AT(r)];
        sum = Dot(sum, x, b[GAPCAM_AT(v)]);
      });
    });
  }
}
#endif

// Computes kRows rows from row `first` on, times one panel.
template <int kRows, int kVectors>
static void QuantTile(const QuantRows& rows, size_t first, const QuantPanel& panel, const ByteEnd& end, Byte* y,
                      size_t stride) {
  I sums[kVectors][kRows];
  Unrolled<kVectors>(GAPCAM_BODY(v) {
    const I bias = LoadSums(panel.bias + GAPCAM_AT(v) * kSumLanes);
    Unrolled<kRows>(GAPCAM_BODY(r) { sums[GAPCAM_AT(v)][GAPCAM_AT(r)] = bias; });
  });
  const char* w = panel.w;
  for (uint32_t t = 0; t < rows.taps; ++t)
    AddRun<kRows, kVectors>(sums, rows.runs[t] + first * rows.step, rows.step, rows.groups, w);
  if (__builtin_expect(panel.extra != panel.extra_end, false)) AddExtras<kRows, kVectors>(sums, rows, first, panel);
  Unrolled<kVectors>(GAPCAM_BODY(v) { Unrolled<kRows>(GAPCAM_BODY(r) { Settle(sums[GAPCAM_AT(v)][GAPCAM_AT(r)]); }); });
  StoreTile<kRows, kVectors>(sums, panel.scales, panel.is_small, end, panel.columns, y, stride);
}

typedef void (*QuantTileFunction)(const QuantRows&, size_t, const QuantPanel&, const ByteEnd&, Byte*, size_t);

// The tile functions of one panel width; the index is the number of rows minus one.
template <int kVectors, int... kRows>
GAPCAM_INLINE const QuantTileFunction* QuantTilesOf(std::integer_sequence<int, kRows...>) {
  static constexpr QuantTileFunction kTiles[] = {QuantTile<kRows + 1, kVectors>...};
  return kTiles;
}

GAPCAM_INLINE const QuantTileFunction* QuantTilesFor(uint32_t vectors) {
  typedef std::make_integer_sequence<int, kSumRows> Rows;
#if defined(GAPCAM_TARGET_NEON)
  if (vectors == 4) return QuantTilesOf<4>(Rows());
  if (vectors == 3) return QuantTilesOf<3>(Rows());
#endif
  return vectors == 2 ? QuantTilesOf<2>(Rows()) : QuantTilesOf<1>(Rows());
}

// How the results of a product become bytes, and what is added to them.
struct QuantEnd {
  ByteEnd end;
  ResidualEnd residual;
};

// Multiplies `count` rows by columns [n_first, n_last), for each of `segments` groups of rows. n_first is a multiple of
// kSumPanel. The runs of one segment follow those of the one before. `out` is the place of the very first row; the
// results of all rows follow one another there.
static void QuantMultiply(const QuantWeights& weights, const QuantRows& rows, uint32_t segments, uint32_t count,
                          const QuantOut& out, uint32_t n_first, uint32_t n_last, const QuantEnd& how) {
  const uint32_t tiles = CeilDiv(count, kSumRows), size = count / tiles, larger = count - tiles * size;
  for (uint32_t n0 = n_first; n0 < n_last; n0 += kSumPanel) {
    const uint32_t vectors = PanelVectors(weights.columns, n0), index = n0 / kSumPanel;
    const uint32_t* extra = weights.extra_starts ? weights.extra_starts + index : nullptr;
    const QuantPanel panel = {weights.packed + static_cast<size_t>(n0) * weights.depth * kGroup * kOperandBytes,
                              weights.bias + n0,
                              weights.scales + n0,
                              extra ? weights.extras + extra[0] : nullptr,
                              extra ? weights.extras + extra[1] : nullptr,
                              extra ? weights.extra_packed + size_t{extra[0]} * kPanelVectors * kSumBytes : nullptr,
                              Least(vectors * kSumLanes, weights.columns - n0),
                              weights.is_small[index] != 0};
    const QuantTileFunction* function = QuantTilesFor(vectors);
    QuantRows here = rows;
    Byte* y = out.y + n0;
    const Byte* residual = out.residual ? out.residual + n0 : nullptr;
    for (uint32_t segment = 0; segment < segments; ++segment, here.runs += rows.taps) {
      for (uint32_t tile = 0, m = 0; tile < tiles; ++tile) {
        const uint32_t height = size + (tile < larger);
        function[height - 1](here, m, panel, how.end, y, out.stride);
        m += height;
        for (uint32_t r = 0; r < height; ++r, y += out.stride) {
          if (!residual) continue;
          AddBytes(how.residual, y, residual, y, panel.columns);
          residual += out.stride;
        }
      }
    }
  }
}

}  // namespace
}  // namespace gapcam
