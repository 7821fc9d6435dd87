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

// Interleaves 16 channels of four rows: lane i of vector v of `to` holds the bytes of channel 4v + i. Does so for `pixels`
// pixels, which are steps[i] bytes apart in row i.
GAPCAM_INLINE void InterleaveRows(const Byte* const (&rows)[WindowFormat::kGroup],
                                  const size_t (&steps)[WindowFormat::kGroup], uint32_t pixels, char* to) {
  const Byte *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  asm volatile(
      "cbz %w[pixels], 2f\n"
      "1: ld1 {v0.16b}, [%[a]], %[step_a]\n"
      "ld1 {v1.16b}, [%[b]], %[step_b]\n"
      "ld1 {v2.16b}, [%[c]], %[step_c]\n"
      "ld1 {v3.16b}, [%[d]], %[step_d]\n"
      "subs %w[pixels], %w[pixels], #1\n"
      "st4 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[to]], #64\n"
      "b.ne 1b\n"
      "2:\n"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [to] "+r"(to), [pixels] "+r"(pixels)
      : [step_a] "r"(steps[0]), [step_b] "r"(steps[1]), [step_c] "r"(steps[2]), [step_d] "r"(steps[3])
      : "v0", "v1", "v2", "v3", "cc", "memory");
}

}  // namespace
}  // namespace gapcam
