// Products of bytes on Arm without the dot product, as on Cortex-A72. SMULL and SMLAL2 add two products of bytes in each of
// eight words, and SADALP adds pairs of words to a sum: 16 products in three instructions. Weights of -128 are packed in
// two parts, because two products of -128 and -128 do not fit a word. Windows multiply words, to which bytes are widened
// in the ring.
namespace gapcam {
namespace {

GAPCAM_INLINE Operands LoadOperands(const void* p) { return vld1_s16(static_cast<const int16_t*>(p)); }
GAPCAM_INLINE Operands SetOperands(int32_t value) { return vdup_n_s16(static_cast<int16_t>(value)); }

// sum + the product in every lane.
GAPCAM_INLINE I Dot(I sum, Operands a, Operands w) { return vmlal_s16(sum, w, a); }

constexpr size_t kWidened = 16;  // bytes that Widen takes
// Bytes are operands of a product as they are.
GAPCAM_INLINE void Widen(char* to, const Byte* from) { std::memcpy(to, from, kWidened); }

// Adds the products of 16 bytes of every row and 16 weights of one column. No sum of two products leaves 16 bits.
template <int kRows>
GAPCAM_INLINE void AddColumn(I (&sums)[kRows], const Raw (&x)[kRows], Raw w) {
  int16x8_t products[kRows];
  Unrolled<kRows>(GAPCAM_BODY(r) { products[GAPCAM_AT(r)] = vmull_s8(vget_low_s8(w), vget_low_s8(x[GAPCAM_AT(r)])); });
  Unrolled<kRows>(
      GAPCAM_BODY(r) { products[GAPCAM_AT(r)] = vmlal_high_s8(products[GAPCAM_AT(r)], w, x[GAPCAM_AT(r)]); });
  Unrolled<kRows>(GAPCAM_BODY(r) { sums[GAPCAM_AT(r)] = vpadalq_s16(sums[GAPCAM_AT(r)], products[GAPCAM_AT(r)]); });
}

// Adds one run to the partial sums of kRows rows: of each column four. Moves `w` behind the weights of the run.
template <int kRows, int kVectors>
GAPCAM_INLINE void AddRun(I (&sums)[4 * kVectors][kRows], const char* run, size_t step, uint32_t groups,
                          const char*& w) {
  const char* rows[kRows];
  Unrolled<kRows>(GAPCAM_BODY(r) { rows[GAPCAM_AT(r)] = Pinned(run + GAPCAM_AT(r) * step); });
  for (size_t k = 0; k < 16 * size_t{groups}; k += 16, w += 4 * kVectors * 16) {
    Raw x[kRows];
    Unrolled<kRows>(GAPCAM_BODY(r) { x[GAPCAM_AT(r)] = LoadRaw(rows[GAPCAM_AT(r)] + k); });
    Unrolled<2 * kVectors>(GAPCAM_BODY(pair) {
      constexpr int kFirst = 2 * GAPCAM_AT(pair);
      Raw first, second;
      LoadPair<kFirst * 16>(w, first, second);
      AddColumn<kRows>(sums[kFirst], x, first);
      AddColumn<kRows>(sums[kFirst + 1], x, second);
    });
  }
}

constexpr int kPartials = 4;  // vectors of partial sums for each vector of sums

template <int kRows, int kVectors>
GAPCAM_INLINE void StartSums(I (&sums)[4 * kVectors][kRows], const int32_t*) {
  Unrolled<4 * kVectors>(
      GAPCAM_BODY(c) { Unrolled<kRows>(GAPCAM_BODY(r) { sums[GAPCAM_AT(c)][GAPCAM_AT(r)] = vdupq_n_s32(0); }); });
}

// Ends a tile: see StoreTile. Adds up the partial sums and the bias.
template <int kRows, int kVectors>
GAPCAM_INLINE void EndTile(const I (&sums)[4 * kVectors][kRows], const int32_t* bias, const float* scales,
                           bool is_small, const ByteEndRegisters& end, uint32_t columns, Byte* y, size_t stride) {
  I whole[kVectors][kRows];
  Unrolled<kVectors>(GAPCAM_BODY(v) {
    constexpr int c = 4 * GAPCAM_AT(v);
    const I start = LoadSums(bias + c);
    Unrolled<kRows>(GAPCAM_BODY(r) {
      const I low = vpaddq_s32(sums[c][GAPCAM_AT(r)], sums[c + 1][GAPCAM_AT(r)]);
      const I high = vpaddq_s32(sums[c + 2][GAPCAM_AT(r)], sums[c + 3][GAPCAM_AT(r)]);
      whole[GAPCAM_AT(v)][GAPCAM_AT(r)] = vaddq_s32(vpaddq_s32(low, high), start);
    });
  });
  StoreTile<kRows, kVectors>(whole, scales, is_small, end, columns, y, stride);
}

// Widens one row of 16 channels: lane i of vector v of `to` holds channel 4v + i.
GAPCAM_INLINE void Interleave(const Byte* const (&rows)[WindowFormat::kGroup], char* to) {
  const Raw bytes = vld1q_s8(rows[0]);
  vst1q_s16(reinterpret_cast<int16_t*>(to), vmovl_s8(vget_low_s8(bytes)));
  vst1q_s16(reinterpret_cast<int16_t*>(to) + 8, vmovl_high_s8(bytes));
}

}  // namespace
}  // namespace gapcam
