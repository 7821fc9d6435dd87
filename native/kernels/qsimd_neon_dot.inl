// Products of bytes on Arm with the dot product (SDOT): a dot adds four products. Activations are multiplied lane by lane,
// so a load of 16 bytes serves four groups of k.
namespace gapcam {
namespace {

GAPCAM_INLINE Operands LoadOperands(const void* p) { return LoadSums(p); }
GAPCAM_INLINE Operands SetOperands(int32_t value) { return AsSums(vdupq_n_s8(static_cast<int8_t>(value))); }

// sum + the products of one group in every lane.
GAPCAM_INLINE I Dot(I sum, I a, I w) { return vdotq_s32(sum, AsBytes(w), AsBytes(a)); }

constexpr size_t kWidened = 16;  // bytes that Widen takes
// Bytes are operands as they are.
GAPCAM_INLINE void Widen(char* to, const Byte* from) { std::memcpy(to, from, kWidened); }

// Adds the products of lane kLane of every row and one vector of weights.
template <int kRows, int kVectors, int kLane>
GAPCAM_INLINE void AddLane(I (&sums)[kVectors][kRows], const Raw (&x)[kRows], const Raw& w, int v) {
  Unrolled<kRows>(
      GAPCAM_BODY(r) { sums[v][GAPCAM_AT(r)] = vdotq_laneq_s32(sums[v][GAPCAM_AT(r)], w, x[GAPCAM_AT(r)], kLane); });
}

// Adds kCount groups, which are the lanes of x.
template <int kRows, int kVectors, int kCount>
GAPCAM_INLINE void AddLanes(I (&sums)[kVectors][kRows], const Raw (&x)[kRows], const char* w) {
  Unrolled<kCount * kVectors / 2>(GAPCAM_BODY(pair) {
    constexpr int kFirst = 2 * GAPCAM_AT(pair), kSecond = kFirst + 1;
    Raw first, second;
    LoadPair<kFirst * kSumBytes>(w, first, second);
    AddLane<kRows, kVectors, kFirst / kVectors>(sums, x, first, kFirst % kVectors);
    AddLane<kRows, kVectors, kSecond / kVectors>(sums, x, second, kSecond % kVectors);
  });
  if constexpr (kCount * kVectors % 2)
    AddLane<kRows, kVectors, kCount - 1>(sums, x, LoadRaw(w + (kCount - 1) * kSumBytes), 0);
}

// Loads kCount groups. Nothing behind them is read.
template <int kCount>
GAPCAM_INLINE Raw LoadGroups(const char* p) {
  const int8_t* bytes = reinterpret_cast<const int8_t*>(p);
  if constexpr (kCount == 4) return vld1q_s8(bytes);
  if constexpr (kCount == 1) return AsBytes(vsetq_lane_s32(*reinterpret_cast<const UnalignedInt*>(p), I{}, 0));
  const Raw two = vcombine_s8(vld1_s8(bytes), vdup_n_s8(0));
  if constexpr (kCount == 2) return two;
  return AsBytes(vsetq_lane_s32(*reinterpret_cast<const UnalignedInt*>(p + 8), AsSums(two), 2));
}

// Adds kCount groups at `run` to kRows rows.
template <int kRows, int kVectors, int kCount>
GAPCAM_INLINE void AddGroups(I (&sums)[kVectors][kRows], const char* const (&rows)[kRows], size_t k, const char* w) {
  Raw x[kRows];
  Unrolled<kRows>(GAPCAM_BODY(r) { x[GAPCAM_AT(r)] = LoadGroups<kCount>(rows[GAPCAM_AT(r)] + k); });
  AddLanes<kRows, kVectors, kCount>(sums, x, w);
}

// Adds the groups from byte k on that do not fill a vector. Moves `w` behind their weights.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRest(I (&sums)[kVectors][kRows], const char* const (&rows)[kRows], size_t k, uint32_t groups,
                           const char*& w) {
  switch (groups % 4) {
    case 1: AddGroups<kRows, kVectors, 1>(sums, rows, k, w); break;
    case 2: AddGroups<kRows, kVectors, 2>(sums, rows, k, w); break;
    case 3: AddGroups<kRows, kVectors, 3>(sums, rows, k, w); break;
    default: break;
  }
  w += groups % 4 * kVectors * kSumBytes;
}

// Adds one run to kRows rows. Moves `w` behind the weights of the run.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRun(I (&sums)[kVectors][kRows], const char* run, size_t step, uint32_t groups, const char*& w) {
  const char* rows[kRows];
  Unrolled<kRows>(GAPCAM_BODY(r) { rows[GAPCAM_AT(r)] = Pinned(run + GAPCAM_AT(r) * step); });
  const size_t whole = groups / 4 * 16;
  size_t k = 0;
  for (; k < whole; k += 16, w += 4 * kVectors * kSumBytes) AddGroups<kRows, kVectors, 4>(sums, rows, k, w);
  AddRest<kRows, kVectors>(sums, rows, k, groups, w);
}

// Interleaves four rows of 16 channels: lane i of vector v of `to` holds the bytes of channel 4v + i.
GAPCAM_INLINE void Interleave(const Byte* const (&rows)[WindowFormat::kGroup], char* to) {
  const Raw a = vld1q_s8(rows[0]), b = vld1q_s8(rows[1]), c = vld1q_s8(rows[2]), d = vld1q_s8(rows[3]);
  const int16x8_t low = vreinterpretq_s16_s8(vzip1q_s8(a, b)), high = vreinterpretq_s16_s8(vzip2q_s8(a, b));
  const int16x8_t low2 = vreinterpretq_s16_s8(vzip1q_s8(c, d)), high2 = vreinterpretq_s16_s8(vzip2q_s8(c, d));
  int16_t* words = reinterpret_cast<int16_t*>(to);
  vst1q_s16(words, vzip1q_s16(low, low2));
  vst1q_s16(words + 8, vzip2q_s16(low, low2));
  vst1q_s16(words + 16, vzip1q_s16(high, high2));
  vst1q_s16(words + 24, vzip2q_s16(high, high2));
}

constexpr int kPartials = 1;  // vectors of partial sums for each vector of sums

// Sets every row to the bias.
template <int kRows, int kVectors>
GAPCAM_INLINE void StartSums(I (&sums)[kVectors][kRows], const int32_t* bias) {
  Unrolled<kVectors>(GAPCAM_BODY(v) {
    const I start = LoadSums(bias + GAPCAM_AT(v) * kSumLanes);
    Unrolled<kRows>(GAPCAM_BODY(r) { sums[GAPCAM_AT(v)][GAPCAM_AT(r)] = start; });
  });
}

// The sums of a tile: the bias and the products of all runs from `at` on.
template <int kRows, int kVectors>
GAPCAM_INLINE void ComputeSums(I (&sums)[kVectors][kRows], const int32_t* bias, const char* const* runs, size_t at,
                               uint32_t taps, size_t step, uint32_t groups, const char*& w) {
  if constexpr (kRows == 5 && kVectors == 4) {
    if (taps == 1 || groups % 4 == 0) {
      const size_t whole = groups / 4 * 16;
      StartRuns(sums, bias, runs, at, taps, step, whole, w);
      if (groups % 4 == 0) return;
      const char* rows[kRows];
      Unrolled<kRows>(GAPCAM_BODY(r) { rows[GAPCAM_AT(r)] = Pinned(runs[0] + at + GAPCAM_AT(r) * step); });
      AddRest<kRows, kVectors>(sums, rows, whole, groups, w);
      return;
    }
  }
  StartSums<kRows, kVectors>(sums, bias);
  for (uint32_t t = 0; t < taps; ++t) AddRun<kRows, kVectors>(sums, runs[t] + at, step, groups, w);
}

// Ends a tile: see StoreTile. The sums contain the bias already.
template <int kRows, int kVectors>
GAPCAM_INLINE void EndTile(I (&sums)[kVectors][kRows], const int32_t*, const float* scales, bool is_small,
                           const ByteEndRegisters& end, uint32_t columns, Byte* y, size_t stride) {
  StoreTile<kRows, kVectors>(sums, scales, is_small, end, columns, y, stride);
}

}  // namespace
}  // namespace gapcam
