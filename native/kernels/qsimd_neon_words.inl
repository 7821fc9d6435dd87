// Products of bytes on Arm without the dot product, as on Cortex-A72: bytes are widened to words beforehand, and SMLAL adds
// one product to each of four sums. Activations are multiplied lane by lane, so a load serves eight steps of k.
namespace gapcam {
namespace {

GAPCAM_INLINE Operands LoadOperands(const void* p) { return vld1_s16(static_cast<const int16_t*>(p)); }
GAPCAM_INLINE Operands SetOperands(int32_t value) { return vdup_n_s16(static_cast<int16_t>(value)); }
GAPCAM_INLINE Operands BroadcastGroup(const char* p) {
  int16_t word;
  std::memcpy(&word, p, 2);
  return vdup_n_s16(word);
}

// sum + the product in every lane.
GAPCAM_INLINE I Dot(I sum, Operands a, Operands w) { return vmlal_s16(sum, w, a); }

constexpr size_t kWidened = 16;  // bytes that Widen takes
// Widens bytes to the words that the product reads.
GAPCAM_INLINE void Widen(char* to, const Byte* from) {
  const Raw bytes = vld1q_s8(from);
  vst1q_s16(reinterpret_cast<int16_t*>(to), vmovl_s8(vget_low_s8(bytes)));
  vst1q_s16(reinterpret_cast<int16_t*>(to) + 8, vmovl_high_s8(bytes));
}

// Adds the products of lane kLane of every row and the weights of two vectors of columns.
template <int kRows, int kVectors, int kLane>
GAPCAM_INLINE void AddLane(I (&sums)[kVectors][kRows], const int16x8_t (&x)[kRows], const char* w) {
  Unrolled<kVectors / 2>(GAPCAM_BODY(pair) {
    constexpr int v = 2 * GAPCAM_AT(pair);
    const int16x8_t both = vld1q_s16(reinterpret_cast<const int16_t*>(w) + 4 * v);
    Unrolled<kRows>(GAPCAM_BODY(r) {
      sums[v][GAPCAM_AT(r)] = vmlal_laneq_s16(sums[v][GAPCAM_AT(r)], vget_low_s16(both), x[GAPCAM_AT(r)], kLane);
    });
    Unrolled<kRows>(GAPCAM_BODY(r) {
      sums[v + 1][GAPCAM_AT(r)] = vmlal_high_laneq_s16(sums[v + 1][GAPCAM_AT(r)], both, x[GAPCAM_AT(r)], kLane);
    });
  });
  if constexpr (kVectors == 1) {
    const int16x4_t one = vld1_s16(reinterpret_cast<const int16_t*>(w));
    Unrolled<kRows>(GAPCAM_BODY(r) {
      sums[0][GAPCAM_AT(r)] = vmlal_laneq_s16(sums[0][GAPCAM_AT(r)], one, x[GAPCAM_AT(r)], kLane);
    });
  }
}

// Adds one run to kRows rows. Moves `w` behind the weights of the run. Words behind a run may be read: runs are copies.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRun(I (&sums)[kVectors][kRows], const char* run, size_t step, uint32_t groups, const char*& w) {
  const char* rows[kRows];
  Unrolled<kRows>(GAPCAM_BODY(r) { rows[GAPCAM_AT(r)] = Pinned(run + GAPCAM_AT(r) * step); });
  size_t k = 0;
  for (; groups >= 8; groups -= 8, k += 16, w += 8 * kVectors * kOperandsBytes) {
    int16x8_t x[kRows];
    Unrolled<kRows>(
        GAPCAM_BODY(r) { x[GAPCAM_AT(r)] = vld1q_s16(reinterpret_cast<const int16_t*>(rows[GAPCAM_AT(r)] + k)); });
    Unrolled<8>(GAPCAM_BODY(g) {
      AddLane<kRows, kVectors, GAPCAM_AT(g)>(sums, x, w + GAPCAM_AT(g) * (kVectors * kOperandsBytes));
    });
  }
  for (; groups > 0; --groups, k += 2, w += kVectors * kOperandsBytes) {
    int16x8_t x[kRows];
    Unrolled<kRows>(
        GAPCAM_BODY(r) { x[GAPCAM_AT(r)] = vld1q_dup_s16(reinterpret_cast<const int16_t*>(rows[GAPCAM_AT(r)] + k)); });
    AddLane<kRows, kVectors, 0>(sums, x, w);
  }
}

// Widens one row of 16 channels: lane i of vector v of `to` holds channel 4v + i.
GAPCAM_INLINE void Interleave(const Byte* const (&rows)[kGroup], char* to) { Widen(to, rows[0]); }

constexpr uint32_t kWeightParts = kOperandBytes == 1 ? 3 : 1;  // a weight of nine bits in parts of a byte
constexpr int kPartials = 1;                                   // vectors of partial sums for each vector of sums

// Sets every row to the bias.
template <int kRows, int kVectors>
GAPCAM_INLINE void StartSums(I (&sums)[kVectors][kRows], const int32_t* bias) {
  Unrolled<kVectors>(GAPCAM_BODY(v) {
    const I start = LoadSums(bias + GAPCAM_AT(v) * kSumLanes);
    Unrolled<kRows>(GAPCAM_BODY(r) { sums[GAPCAM_AT(v)][GAPCAM_AT(r)] = start; });
  });
}

// The sums when all runs are added.
template <int kRows, int kVectors>
GAPCAM_INLINE void EndSums(const I (&sums)[kVectors][kRows], const int32_t*, I (&whole)[kVectors][kRows]) {
  Unrolled<kVectors>(GAPCAM_BODY(v) {
    Unrolled<kRows>(GAPCAM_BODY(r) { whole[GAPCAM_AT(v)][GAPCAM_AT(r)] = sums[GAPCAM_AT(v)][GAPCAM_AT(r)]; });
  });
}

}  // namespace
}  // namespace gapcam
