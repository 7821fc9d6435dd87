// Products of bytes on Arm without the dot product, as on Cortex-A72. SMULL and SMLAL2 add two products of bytes in each of
// eight words, and SADALP adds pairs of words to a sum: 16 products in three instructions. A vector of weights therefore
// holds two elements of k of four columns, then two others; one of activations is a table lookup (TBL). Weights of -128 are
// packed in two parts, because two products of -128 and -128 do not fit a word. Windows multiply words, to which bytes are
// widened in the ring.
namespace gapcam {
namespace {

GAPCAM_INLINE Operands LoadOperands(const void* p) { return vld1_s16(static_cast<const int16_t*>(p)); }
GAPCAM_INLINE Operands SetOperands(int32_t value) { return vdup_n_s16(static_cast<int16_t>(value)); }

// sum + the product in every lane.
GAPCAM_INLINE I Dot(I sum, Operands a, Operands w) { return vmlal_s16(sum, w, a); }

constexpr size_t kWidened = 16;  // bytes that Widen takes
// Bytes are operands of a product as they are.
GAPCAM_INLINE void Widen(char* to, const Byte* from) { std::memcpy(to, from, kWidened); }

// The bytes of lane kLane of a vector, two by two: the first two of them four times, then the others.
template <int kLane>
GAPCAM_INLINE Raw LanePairs(Raw x) {
  constexpr uint8_t a = 4 * kLane, b = a + 1, c = a + 2, d = a + 3;
  return vqtbl1q_s8(x, uint8x16_t{a, b, a, b, a, b, a, b, c, d, c, d, c, d, c, d});
}

// Adds the products of lane kLane of every row and one vector of weights. No sum of two products leaves 16 bits.
template <int kRows, int kVectors, int kLane>
GAPCAM_INLINE void AddLane(I (&sums)[kVectors][kRows], const Raw (&x)[kRows], const Raw& w, int v) {
  Unrolled<kRows>(GAPCAM_BODY(r) {
    const Raw pairs = LanePairs<kLane>(x[GAPCAM_AT(r)]);
    const int16x8_t first = vmull_s8(vget_low_s8(w), vget_low_s8(pairs));
    sums[v][GAPCAM_AT(r)] = vpadalq_s16(sums[v][GAPCAM_AT(r)], vmlal_high_s8(first, w, pairs));
  });
}

// Widens 16 channels of one row: lane i of vector v of `to` holds channel 4v + i. Does so for `pixels` pixels, which are
// steps[0] bytes apart.
GAPCAM_INLINE void InterleaveRows(const Byte* const (&rows)[WindowFormat::kGroup],
                                  const size_t (&steps)[WindowFormat::kGroup], uint32_t pixels, char* to) {
  const Byte* from = rows[0];
  asm volatile(
      "cbz %w[pixels], 2f\n"
      "1: ld1 {v0.16b}, [%[from]], %[step]\n"
      "subs %w[pixels], %w[pixels], #1\n"
      "sxtl v1.8h, v0.8b\n"
      "sxtl2 v2.8h, v0.16b\n"
      "stp q1, q2, [%[to]], #32\n"
      "b.ne 1b\n"
      "2:\n"
      : [from] "+r"(from), [to] "+r"(to), [pixels] "+r"(pixels)
      : [step] "r"(steps[0])
      : "v0", "v1", "v2", "cc", "memory");
}

}  // namespace
}  // namespace gapcam
