// Long sums in half precision: a few steps of k at a time, added up in single precision. Included by gemm_neon.inl.
namespace gapcam {
namespace {

// Steps of k that are added in half precision before the sum is added to one in single precision.
constexpr uint32_t kHalfSteps = 128;

// Runs that are multiplied together in half precision.
struct HalfSpan {
  const E* const* runs;
  uint32_t taps, run, last;
};

// Adds a tile's products with one span of k to sums in single precision, or begins them if it `is_first`.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddSpan(bool is_first, const HalfSpan& span, ComputeFunction compute, uint64_t from, uint64_t step,
                           const E* w, Wide (&sums)[kRows][kVectors]) {
  static const E kZeros[3 * kLanes] = {};
  V rows[kRows][kVectors];
  NeonTiles task = {span.runs, span.taps, span.run, span.last, 0, Zero(), Zero()};
  compute(task, 1, from, step, w, kZeros, reinterpret_cast<E*>(rows), nullptr, sizeof(rows[0]));
  const auto for_each = [&](auto begin) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = begin(sums[r][v], rows[r][v]);
    }
  };
  if (is_first)
    for_each([](const Wide&, V span) __attribute__((always_inline)) { return WideOf(span); });
  else
    for_each([](const Wide& sum, V span) __attribute__((always_inline)) { return WideAdd(sum, span); });
}

// Ends a tile of whole vectors that is only bounded and stored.
template <int kRows, int kVectors>
GAPCAM_INLINE void FinishPlainSums(const Wide (&sums)[kRows][kVectors], const GemmOut& out, const GemmPanel& panel,
                                   const Activation& act) {
  const bool is_bounded = act.form == ActivationForm::kBounds;
  const float32x4_t low = vdupq_n_f32(is_bounded ? act.low : -__builtin_inff()),
                    high = vdupq_n_f32(is_bounded ? act.high : __builtin_inff());
  Wide bias[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) bias[v] = WideOf(Load(panel.bias + v * kLanes));
  E* to = out.y + panel.first;
  const E* residual = out.residual ? out.residual + panel.first : nullptr;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r, to = Pinned(to + out.stride)) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Wide sum = WideAdd(sums[r][v], bias[v]);
      if (residual) sum = WideAdd(sum, Load(residual + v * kLanes));
      sum = {vminq_f32(high, vmaxq_f32(low, sum.low)), vminq_f32(high, vmaxq_f32(low, sum.high))};
      Store(to + v * kLanes, Narrow(sum));
    }
    if (residual) residual += out.stride;
  }
}

// Ends a tile whose sums are in single precision. It rounds each result once.
template <int kRows, int kVectors>
static void FinishSums(Wide (&sums)[kRows][kVectors], const GemmOut& out, const GemmPanel& panel,
                       const Activation& act) {
  const bool is_plain = act.form == ActivationForm::kNone || act.form == ActivationForm::kBounds;
  if (is_plain && out.y && !out.sums && panel.first + kVectors * kLanes <= panel.columns)
    return FinishPlainSums<kRows, kVectors>(sums, out, panel, act);
  for (int v = 0; v < kVectors; ++v) {
    const uint32_t n = panel.first + v * kLanes;
    if (n >= panel.columns) break;
    const int lanes = static_cast<int>(Least(kLanes, panel.columns - n));
    for (int r = 0; r < kRows; ++r) {
      const size_t at = static_cast<size_t>(r) * out.stride + n;
      Wide sum = WideAdd(sums[r][v], Load(panel.bias + v * kLanes));
      if (out.residual) sum = WideAdd(sum, lanes == kLanes ? Load(out.residual + at) : LoadN(out.residual + at, lanes));
      sum = WideActivate(act, sum);
      if (out.sums) WideStore(out.sums + n, WideAdd(WideLoad(out.sums + n), sum));
      if (out.y) lanes == kLanes ? Store(out.y + at, Narrow(sum)) : StoreN(out.y + at, Narrow(sum), lanes);
    }
  }
}

// Computes tiles whose sums are long: spans of kHalfSteps of k or less in half precision, their sum in single precision.
template <int kRows, int kVectors>
static void SumTiles(const GemmRows& rows, uint32_t first, uint32_t tiles, const GemmPanel& panel, GemmOut out,
                     const Activation& act) {
  const uint64_t step = rows.step * sizeof(E);
  const uint32_t together = Most(1, kHalfSteps / rows.run);
  const ComputeFunction compute = ComputeOf<kRows, kVectors>(rows);
  const size_t beside = rows.is_packed ? kRows : 1;
  for (uint32_t i = 0; i < tiles; ++i, first += kRows) {
    Wide sums[kRows][kVectors];
    const E* w = panel.packed;
    for (uint32_t t = 0; t < rows.taps; t += together) {
      const uint32_t taps = Least(together, rows.taps - t), last = t + taps == rows.taps ? rows.last : rows.run;
      const uint32_t parts = CeilDiv(last, kHalfSteps), part = CeilDiv(CeilDiv(last, parts), kLanes) * kLanes;
      for (uint32_t k = 0; k < last; k += part) {
        const E* begin = rows.runs[t] + k * beside;
        const uint32_t length = taps > 1 ? last : Least(part, last - k);
        const HalfSpan span = {taps > 1 ? rows.runs + t : &begin, taps, taps > 1 ? rows.run : length, length};
        AddSpan<kRows, kVectors>(w == panel.packed, span, compute, first * step, step, w, sums);
        w += (static_cast<size_t>(taps - 1) * rows.run + length) * kVectors * kLanes;
      }
    }
    GemmOut at = out;
    const size_t offset = static_cast<size_t>(first) * out.stride;
    if (at.y) at.y += offset;
    if (at.residual) at.residual += offset;
    FinishSums<kRows, kVectors>(sums, at, panel, act);
  }
}

}  // namespace
}  // namespace gapcam
