// The integer product behind convolutions and dense layers: rows of bytes times panels of packed weights
// (qgemm_weights.inl). Sums are exact; qsimd_*.inl turns a tile of them into bytes.
//
//   left operand:  row r = runs[0] + r·step, runs[1] + r·step, …     each of `groups` groups
//
// Rows come in segments, such as the rows of a picture; within one they are `step` bytes apart.
//
// A run is read in whole groups: where it ends within one, what follows it is multiplied by zero.
namespace gapcam {
namespace {

// The left operand. `step` and `segment` are in bytes; `segment` is from the runs of one segment to those of the next.
struct QuantRows {
  const char* const* runs;
  uint32_t taps, groups;
  size_t step;
  size_t segment = 0;
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

#if !defined(GAPCAM_TARGET_NEON)
// The sums of a tile: the bias and the products of all runs from `at` on.
template <int kRows, int kVectors, bool>
GAPCAM_INLINE void ComputeSums(I (&sums)[kVectors][kRows], const int32_t* bias, const char* const* runs, size_t at,
                               uint32_t taps, size_t step, uint32_t groups, int, const char*& w, size_t ahead) {
  StartSums<kRows, kVectors>(sums, bias);
  for (uint32_t t = 0; t < taps; ++t) AddRun<kRows, kVectors>(sums, runs[t] + at, step, groups, w, ahead);
}
#endif

// Adds the groups that a panel multiplies again.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddExtras(I (&sums)[kVectors][kRows], const QuantRows& rows, size_t at, const QuantPanel& panel) {
  const char* extra_w = panel.extra_w;
  for (const ExtraGroup* extra = panel.extra; extra != panel.extra_end; ++extra, extra_w += kPanelGroupBytes) {
    const char* w = extra_w;
    AddRun<kRows, kVectors>(sums, rows.runs[extra->tap] + at + extra->offset, rows.step, 1, w);
  }
}

// Computes `tiles` tiles of kRows rows each, from row `first` on, times one panel. `kIsOneRun`: see ComputeSums.
template <int kRows, int kVectors, bool kIsOneRun>
GAPCAM_INLINE void QuantTilesOf(const QuantRows& left, size_t first, uint32_t tiles, const QuantPanel& right,
                                const ByteEndRegisters& end, Byte* y, size_t stride) {
  const QuantRows rows = left;  // copies, which no store of a byte can change
  const QuantPanel panel = right;
  const size_t step = rows.step;
  const int has_rest = Opaque(rows.groups % 4 != 0), has_extras = Opaque(panel.extra != panel.extra_end);
  const int plain = panel.columns < uint32_t{kVectors * kSumLanes} ? 0 : Opaque(end.Plain(panel.is_small));
  // Two tiles prefetch one line of two each.
  size_t ahead = static_cast<size_t>(rows.taps) * rows.groups * kVectors * kSumLanes * kGroup * kOperandBytes;
  for (size_t at = first * step; tiles > 0; --tiles, at += kRows * step, y += kRows * stride, ahead ^= 64) {
    I sums[kVectors][kRows];
    const char* w = panel.w;
    ComputeSums<kRows, kVectors, kIsOneRun>(sums, panel.bias, rows.runs, at, rows.taps, step, rows.groups, has_rest, w,
                                            ahead);
    if constexpr (ProductFormat::kParts > 1) {
      if (__builtin_expect(has_extras, false)) AddExtras<kRows, kVectors>(sums, rows, at, panel);
    }
    Unrolled<kVectors>(
        GAPCAM_BODY(v) { Unrolled<kRows>(GAPCAM_BODY(r) { Settle(sums[GAPCAM_AT(v)][GAPCAM_AT(r)]); }); });
    StoreTile<kRows, kVectors>(sums, panel.scales, panel.is_small, plain, end, panel.columns, y, stride);
  }
}

template <int kRows, int kVectors>
static void QuantTiles(const QuantRows& left, size_t first, uint32_t tiles, const QuantPanel& right,
                       const ByteEndRegisters& end, Byte* y, size_t stride) {
  if (kHasOneRunTiles && kRows == kSumRows && kVectors == kPanelVectors && left.taps == 1 && left.groups >= 4)
    QuantTilesOf<kRows, kVectors, kHasOneRunTiles && kRows == kSumRows && kVectors == kPanelVectors>(
        left, first, tiles, right, end, y, stride);
  else
    QuantTilesOf<kRows, kVectors, false>(left, first, tiles, right, end, y, stride);
}

typedef void (*QuantTilesFunction)(const QuantRows&, size_t, uint32_t, const QuantPanel&, const ByteEndRegisters&,
                                   Byte*, size_t);

// The tile functions of one panel width; the index is the number of rows minus one.
template <int kVectors, int... kRows>
GAPCAM_INLINE const QuantTilesFunction* QuantTilesFrom(std::integer_sequence<int, kRows...>) {
  static constexpr QuantTilesFunction kTiles[] = {QuantTiles<kRows + 1, kVectors>...};
  return kTiles;
}

GAPCAM_INLINE const QuantTilesFunction* QuantTilesFor(uint32_t vectors) {
  typedef std::make_integer_sequence<int, kSumRows> Rows;
#if defined(GAPCAM_TARGET_NEON)
  if (vectors == 4) return QuantTilesFrom<4>(Rows());
#endif
  return vectors == 2 ? QuantTilesFrom<2>(Rows()) : QuantTilesFrom<1>(Rows());
}

#if defined(GAPCAM_TARGET_NEON)
// Computes `all` rows of segments of `count` rows, times one whole panel without extra groups. Tiles go on from one segment
// to the next, and the last one moves back over rows that are done: every tile is a whole one, also on maps of 7×7.
static void QuantPlacedTiles(const QuantRows& left, uint32_t count, uint32_t all, const QuantPanel& right,
                             const ByteEndRegisters& end, Byte* y, size_t stride) {
  const QuantRows rows = left;  // copies, which no store of a byte can change
  const QuantPanel panel = right;
  const int plain = Opaque(end.Plain(panel.is_small));
  const size_t back = rows.segment - count * rows.step;  // from behind the last row of a segment to the next segment
  size_t place = 0;
  uint32_t rest = count;  // rows of the segment from `place` on
  for (uint32_t at = 0; at < all; at += kSumRows) {
    if (__builtin_expect(all - at < uint32_t{kSumRows}, false)) {
      at = all - kSumRows;
      place = at / count * rows.segment + at % count * rows.step, rest = count - at % count;
    }
    size_t places[kSumRows];
    if (rest > uint32_t{kSumRows}) {
      for (int r = 0; r < kSumRows; ++r, place += rows.step) places[r] = place;
      rest -= kSumRows;
    } else {
      for (int r = 0; r < kSumRows; ++r) {
        places[r] = place, place += rows.step;
        if (--rest == 0) place += back, rest = count;
      }
    }
    I sums[kPanelVectors][kSumRows];
    const char* w = panel.w;
    StartRuns(sums, panel.bias, rows.runs, places, rows.taps, size_t{rows.groups} * kGroup, w);
    StoreTile<kSumRows, kPanelVectors>(sums, panel.scales, panel.is_small, plain, end, panel.columns, y + at * stride,
                                       stride);
  }
}

// Whether QuantPlacedTiles serves these rows and this panel.
GAPCAM_INLINE bool CanPlace(const QuantRows& rows, uint32_t segments, uint32_t count, const QuantPanel& panel) {
  return segments > 1 && segments * count >= uint32_t{kSumRows} && panel.columns == kSumPanel &&
         panel.extra == panel.extra_end && (kPlacesRest || rows.groups % 4 == 0);
}
#endif

// How the results of a product become bytes, and what is added to them.
struct QuantEnd {
  ByteEnd end;
  ResidualEnd residual;
  bool is_residual_first;  // in the sum
};

// Adds the residual to `rows` rows of `count` bytes of y, rows `stride` bytes apart.
static void AddResidual(const QuantEnd& end, const Byte* residual, Byte* y, uint32_t rows, uint32_t count,
                        size_t stride) {
  if (end.is_residual_first)
    AddRows(end.residual, residual, y, y, rows, count, stride);
  else
    AddRows(end.residual, y, residual, y, rows, count, stride);
}

// Multiplies `count` rows by columns [n_first, n_last), for each of `segments` groups of rows. n_first is a multiple of
// kSumPanel. The runs of one segment follow those of the one before. `out` is the place of the very first row; the
// results of all rows follow one another there.
static void QuantMultiply(const QuantWeights& weights, const QuantRows& rows, uint32_t segments, uint32_t count,
                          const QuantOut& out, uint32_t n_first, uint32_t n_last, const QuantEnd& how) {
  const ByteEndRegisters end(how.end);
  const uint32_t tiles = CeilDiv(count, kSumRows), size = count / tiles, larger = count - tiles * size;
  for (uint32_t n0 = n_first; n0 < n_last; n0 += kSumPanel) {
    const uint32_t vectors = PanelVectors(weights.columns, n0), index = n0 / kSumPanel;
    const uint32_t* extra = weights.extra_starts ? weights.extra_starts + index : nullptr;
    const QuantPanel panel = {weights.packed + static_cast<size_t>(n0) * weights.depth * kGroup * kOperandBytes,
                              weights.bias + n0,
                              weights.scales + n0,
                              extra ? weights.extras + extra[0] : nullptr,
                              extra ? weights.extras + extra[1] : nullptr,
                              extra ? weights.extra_packed + extra[0] * kPanelGroupBytes : nullptr,
                              Least(vectors * kSumLanes, weights.columns - n0),
                              weights.is_small[index] != 0};
    const QuantTilesFunction* function = QuantTilesFor(vectors);
    QuantRows here = rows;
    Byte* y = out.y + n0;
    const Byte* residual = out.residual ? out.residual + n0 : nullptr;
    const auto add = [&](uint32_t done, uint32_t number, uint32_t height) {
      if (number == 0) return;
      function[height - 1](here, done, number, panel, end, y, out.stride);
      const size_t bytes = static_cast<size_t>(number) * height * out.stride;
      if (residual) {
        AddResidual(how, residual, y, number * height, panel.columns, out.stride);
        residual += bytes;
      }
      y += bytes;
    };
#if defined(GAPCAM_TARGET_NEON)
    if (CanPlace(rows, segments, count, panel)) {
      QuantPlacedTiles(rows, count, segments * count, panel, end, y, out.stride);
      if (residual) AddResidual(how, residual, y, segments * count, panel.columns, out.stride);
      continue;
    }
#endif
    for (uint32_t segment = 0; segment < segments; ++segment, here.runs += rows.taps) {
      add(0, larger, size + 1);
      add(larger * (size + 1), tiles - larger, size);
    }
  }
}

}  // namespace
}  // namespace gapcam
