// Sums of products on Arm: a load of 16 bytes of a row serves four groups of k. qsimd_neon_dot.inl and qsimd_neon_words.inl
// multiply one of them, and have whole tiles in assembly.
namespace gapcam {
namespace {

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

// Adds kCount groups of kRows rows from `run` on.
template <int kRows, int kVectors, int kCount>
GAPCAM_INLINE void AddGroups(I (&sums)[kVectors][kRows], const char* run, size_t step, const char* w) {
  Raw x[kRows];
  Unrolled<kRows>(GAPCAM_BODY(r) { x[GAPCAM_AT(r)] = LoadGroups<kCount>(run + GAPCAM_AT(r) * step); });
  AddLanes<kRows, kVectors, kCount>(sums, x, w);
}

// Adds the groups from `run` on that do not fill a vector. Moves `w` behind their weights.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRest(I (&sums)[kVectors][kRows], const char* run, size_t step, uint32_t groups, const char*& w) {
  switch (groups % 4) {
    case 1: AddGroups<kRows, kVectors, 1>(sums, run, step, w); break;
    case 2: AddGroups<kRows, kVectors, 2>(sums, run, step, w); break;
    case 3: AddGroups<kRows, kVectors, 3>(sums, run, step, w); break;
    default: break;
  }
  w += groups % 4 * kVectors * kSumBytes;
}

// Adds one run to kRows rows. Moves `w` behind the weights of the run.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRun(I (&sums)[kVectors][kRows], const char* run, size_t step, uint32_t groups, const char*& w) {
  const char* const behind = run + groups / 4 * 16;
  for (; run != behind; run += 16, w += 4 * kVectors * kSumBytes)
    AddGroups<kRows, kVectors, 4>(sums, Pinned(run), step, w);
  AddRest<kRows, kVectors>(sums, run, step, groups, w);
}

// Sets every row to the bias.
template <int kRows, int kVectors>
GAPCAM_INLINE void StartSums(I (&sums)[kVectors][kRows], const int32_t* bias) {
  Unrolled<kVectors>(GAPCAM_BODY(v) {
    const I start = LoadSums(bias + GAPCAM_AT(v) * kSumLanes);
    Unrolled<kRows>(GAPCAM_BODY(r) { sums[GAPCAM_AT(v)][GAPCAM_AT(r)] = start; });
  });
}

constexpr bool kHasOneRunTiles = true;

// The sums of a tile: the bias and the products of all runs from `at` on. `kIsOneRun`: there is one run, of 16 bytes at
// least. `has_rest`: the last groups of a run do not fill a vector. Nothing is prefetched.
template <int kRows, int kVectors, bool kIsOneRun>
GAPCAM_INLINE void ComputeSums(I (&sums)[kVectors][kRows], const int32_t* bias, const char* const* runs, size_t at,
                               uint32_t taps, size_t step, uint32_t groups, int has_rest, const char*& w, size_t) {
  if constexpr (kIsOneRun) {
    const char* const from = StartRun(sums, bias, runs[0] + at, step, groups / 4 * 16, w);
    if (__builtin_expect(has_rest, false)) AddRest<kRows, kVectors>(sums, from, step, groups, w);
  } else {
    StartSums<kRows, kVectors>(sums, bias);
    for (uint32_t t = 0; t < taps; ++t) AddRun<kRows, kVectors>(sums, runs[t] + at, step, groups, w);
  }
}

}  // namespace
}  // namespace gapcam
