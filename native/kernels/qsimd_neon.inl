// The vector layer of the integer kernels on Arm: the same functions as qsimd_x86.inl. Bytes are signed, a sum is a
// 32-bit lane. qsimd_neon_dot.inl and qsimd_neon_words.inl have the products, qsimd_neon_product.inl what is the same in both.
//
// Sums whose results are known to be small begin at kSmallStart, the bits of 1.5 · 2^23. Such a sum, read as a float, is
// that number plus the sum. Three ordinary float operations then scale and round it, half to even; the conversions cost
// twice as many micro-operations on a Cortex-A76, and on one of its two pipes only. An even zero point is part of the last
// of these numbers: it moves no tie to another side.
namespace gapcam {
namespace {

constexpr int kSumLanes = 4, kSumBytes = 16;
// How a product (qgemm_weights.inl) or a window (qwindow.inl) reads weights: kGroup of them in a lane, of kBytes each, from
// kLeast to kMost. A weight of nine bits is the sum of up to kParts of them. kTogether elements of a lane are neighbours.
#if defined(GAPCAM_TARGET_DOT)
struct ProductFormat {
  static constexpr int kGroup = 4, kTogether = 4, kBytes = 1, kLeast = -128, kMost = 127, kParts = 3;
};
typedef ProductFormat WindowFormat;
#else
struct ProductFormat {
  static constexpr int kGroup = 4, kTogether = 2, kBytes = 1, kLeast = -127, kMost = 127, kParts = 3;
};
struct WindowFormat {
  static constexpr int kGroup = 1, kBytes = 2, kLeast = -255, kMost = 255, kParts = 1;
};
#endif
constexpr int kPanelVectors = 4;
#if defined(GAPCAM_TARGET_DOT)
constexpr int kSumRows = 5;  // 5 · 4 sums, 5 rows and 4 vectors of weights of 32 registers
#else
constexpr int kSumRows = 4;  // 4 · 4 sums, 4 rows, 4 vectors of weights, 4 tables and 4 temporaries
#endif
constexpr int64_t kSmallSum = 1 << 22;
constexpr float kSmallResult = 32639.0f;  // with a zero point added it is a word
constexpr int32_t kSmallStart = 0x4b400000;
constexpr float kSmallStartFloat = 12582912.0f;
constexpr PlanType kByteType = PlanType::kInt8;
typedef int8_t Byte;
typedef int32x4_t I;
typedef float32x4_t FI;
typedef int8x16_t Raw;
#if defined(GAPCAM_TARGET_DOT)
typedef I Operands;  // of a dot: kGroup elements in each lane
#else
typedef int16x4_t Operands;
#endif
constexpr int kOperandsBytes = sizeof(Operands);
constexpr int kHeldWeights = 9;  // vectors of weights of a window that stay in registers
typedef int32_t UnalignedInt __attribute__((aligned(1), may_alias));

GAPCAM_INLINE I AsSums(Raw a) { return vreinterpretq_s32_s8(a); }
GAPCAM_INLINE Raw AsBytes(I a) { return vreinterpretq_s8_s32(a); }
GAPCAM_INLINE Raw LoadRaw(const void* p) { return vld1q_s8(static_cast<const int8_t*>(p)); }
GAPCAM_INLINE I LoadSums(const void* p) { return AsSums(LoadRaw(p)); }
GAPCAM_INLINE void StoreSums(void* p, I v) { vst1q_s8(static_cast<int8_t*>(p), AsBytes(v)); }
GAPCAM_INLINE FI LoadScales(const float* p) { return vld1q_f32(p); }
// Ends the sums' life in the loop: without it the end of a tile makes GCC 12 move all sums in every step of k.
GAPCAM_INLINE void Settle(I& sum) { asm volatile("" : "+w"(sum)); }

// Keeps the compiler from merging a multiplication with the addition that follows.
GAPCAM_INLINE FI Apart(FI a) {
  asm("" : "+w"(a));
  return a;
}

// Loads two vectors of weights by one instruction, `kOffset` bytes behind p. The compiler does not see the load: no code
// that runs a product may write weights. With a memory operand GCC 12 computes each address by itself.
template <int kOffset>
GAPCAM_INLINE void LoadPair(const char* p, Raw& a, Raw& b) {
  asm("ldp %q0, %q1, [%2, %3]" : "=w"(a), "=w"(b) : "r"(p), "i"(kOffset));
}

// How sums become bytes: clamp(rint(sum · scale) + zero).
struct ByteEnd {
  int32_t zero, low, high;
};

// What is known of sums: nothing; that they are small; and that the zero point is even too.
enum SumKind { kAnySum, kSmallKind, kSmallEven };
constexpr int kEndKinds = 3;

// The same in registers.
struct ByteEndRegisters {
  int16x8_t zero;
  Raw low, high;
  FI start;     // of small sums
  FI even_end;  // the same with the zero point
  bool is_even;
  bool is_bounded;  // to less than the range of a byte
  GAPCAM_MEMBER explicit ByteEndRegisters(const ByteEnd& end)
      : zero(vdupq_n_s16(static_cast<int16_t>(end.zero))),
        low(vdupq_n_s8(static_cast<int8_t>(end.low))),
        high(vdupq_n_s8(static_cast<int8_t>(end.high))),
        start(vdupq_n_f32(kSmallStartFloat)),
        even_end(vdupq_n_f32(kSmallStartFloat + static_cast<float>(end.zero))),
        is_even(end.zero % 2 == 0),
        is_bounded(end.low > -128 || end.high < 127) {
    asm("" : "+w"(start));  // compilers would make the constant again in every loop
  }

  // The kind of sums that become bytes without bounds and are small; otherwise kAnySum.
  GAPCAM_MEMBER int Plain(bool is_small) const { return is_bounded ? kAnySum : Kind(is_small); }
  GAPCAM_MEMBER SumKind Kind(bool is_small) const { return !is_small ? kAnySum : is_even ? kSmallEven : kSmallKind; }

  // Two vectors of sums to words.
  template <SumKind kKind>
  GAPCAM_MEMBER int16x8_t Words(I a, FI scale_a, I b, FI scale_b) const {
    if constexpr (kKind == kSmallEven)
      return vuzp1q_s16(Small(a, scale_a, even_end), Small(b, scale_b, even_end));
    else if constexpr (kKind == kSmallKind)
      return vqaddq_s16(vuzp1q_s16(Small(a, scale_a, start), Small(b, scale_b, start)), zero);
    else
      return vqaddq_s16(vqmovn_high_s32(vqmovn_s32(Any(a, scale_a)), Any(b, scale_b)), zero);
  }
  GAPCAM_MEMBER int16x8_t Small(I sum, FI scale, FI last) const {
    return vreinterpretq_s16_f32(
        vaddq_f32(Apart(vmulq_f32(vsubq_f32(vreinterpretq_f32_s32(sum), start), scale)), last));
  }
  static GAPCAM_MEMBER I Any(I sum, FI scale) { return vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sum), scale)); }
  static GAPCAM_MEMBER Raw Bytes(int16x8_t a, int16x8_t b) { return vqmovn_high_s16(vqmovn_s16(a), b); }
  GAPCAM_MEMBER Raw Bounded(Raw bytes) const { return vminq_s8(high, vmaxq_s8(low, bytes)); }
};

// Stores piece kPiece of a vector that consists of pieces of kWidth bytes.
template <int kWidth, int kPiece>
GAPCAM_INLINE void StorePiece(Byte* to, Raw bytes) {
  if constexpr (kWidth == 16) vst1q_s8(to, bytes);
  if constexpr (kWidth == 8) {
    const int64_t piece = vgetq_lane_s64(vreinterpretq_s64_s8(bytes), kPiece);
    std::memcpy(to, &piece, 8);
  }
  if constexpr (kWidth == 4) vst1q_lane_s32(reinterpret_cast<int32_t*>(to), AsSums(bytes), kPiece);
}

// The bytes of the rows that fill one vector, from row r on.
template <int kRows, int kVectors, SumKind kKind, int r>
GAPCAM_INLINE Raw TileBytes(I (&sums)[kVectors][kRows], const FI (&scale)[kVectors], const ByteEndRegisters& end) {
  constexpr int r1 = r + 1 < kRows ? r + 1 : r, r2 = r + 2 < kRows ? r + 2 : r, r3 = r + 3 < kRows ? r + 3 : r;
  constexpr int kSecond = kVectors > 1 ? 1 : 0, kThird = kVectors > 2 ? 2 : 0, kLast = kVectors - 1;
  if constexpr (kVectors == 4)
    return end.Bytes(end.Words<kKind>(sums[0][r], scale[0], sums[kSecond][r], scale[kSecond]),
                     end.Words<kKind>(sums[kThird][r], scale[kThird], sums[kLast][r], scale[kLast]));
  else if constexpr (kVectors == 2)
    return end.Bytes(end.Words<kKind>(sums[0][r], scale[0], sums[kSecond][r], scale[kSecond]),
                     end.Words<kKind>(sums[0][r1], scale[0], sums[kSecond][r1], scale[kSecond]));
  else
    return end.Bytes(end.Words<kKind>(sums[0][r], scale[0], sums[0][r1], scale[0]),
                     end.Words<kKind>(sums[0][r2], scale[0], sums[0][r3], scale[0]));
}

// Stores `columns` bytes of each row of a tile.
static __attribute__((noinline)) void StoreRows(const Byte* tile, int rows, int width, uint32_t columns, Byte* y,
                                                size_t stride) {
  for (int r = 0; r < rows; ++r) PutBytes(y + r * stride, tile + r * width, columns);
}

// `kIsPlain`: the bytes are not bounded, and all columns are stored.
template <int kRows, int kVectors, SumKind kKind, bool kIsPlain>
GAPCAM_INLINE void StoreTileOf(I (&sums)[kVectors][kRows], const float* scales, const ByteEndRegisters& end,
                               uint32_t columns, Byte* y, size_t stride) {
  constexpr int kTogether = 4 / kVectors, kWidth = kVectors * kSumLanes, kParts = (kRows + kTogether - 1) / kTogether;
  FI scale[kVectors];
  Unrolled<kVectors>(GAPCAM_BODY(v) { scale[GAPCAM_AT(v)] = LoadScales(scales + GAPCAM_AT(v) * kSumLanes); });
  Raw bytes[kParts];
  Unrolled<kParts>(GAPCAM_BODY(part) {
    bytes[GAPCAM_AT(part)] = TileBytes<kRows, kVectors, kKind, GAPCAM_AT(part) * kTogether>(sums, scale, end);
  });
  if (!kIsPlain && end.is_bounded)
    Unrolled<kParts>(GAPCAM_BODY(part) { bytes[GAPCAM_AT(part)] = end.Bounded(bytes[GAPCAM_AT(part)]); });
  if (kIsPlain || __builtin_expect(columns >= static_cast<uint32_t>(kWidth), true)) {
    Unrolled<kRows>(GAPCAM_BODY(r) {
      StorePiece<kWidth, GAPCAM_AT(r) % kTogether>(y + GAPCAM_AT(r) * stride, bytes[GAPCAM_AT(r) / kTogether]);
    });
    return;
  }
  Byte tile[kParts * kSumBytes];
  Unrolled<kParts>(GAPCAM_BODY(part) { vst1q_s8(tile + GAPCAM_AT(part) * kSumBytes, bytes[GAPCAM_AT(part)]); });
  StoreRows(tile, kRows, kWidth, columns, y, stride);
}

// Turns a tile's sums into bytes and stores them, `columns` of each row, rows `stride` bytes apart. `plain`: Plain, or
// kAnySum where not all columns are stored.
template <int kRows, int kVectors>
GAPCAM_INLINE void StoreTile(I (&sums)[kVectors][kRows], const float* scales, bool is_small, int plain,
                             const ByteEndRegisters& end, uint32_t columns, Byte* y, size_t stride) {
  if (__builtin_expect(plain == kSmallEven, true))
    StoreTileOf<kRows, kVectors, kSmallEven, true>(sums, scales, end, columns, y, stride);
  else if (__builtin_expect(plain == kSmallKind, true))
    StoreTileOf<kRows, kVectors, kSmallKind, true>(sums, scales, end, columns, y, stride);
  else if (!is_small)
    StoreTileOf<kRows, kVectors, kAnySum, false>(sums, scales, end, columns, y, stride);
  else if (end.is_even)
    StoreTileOf<kRows, kVectors, kSmallEven, false>(sums, scales, end, columns, y, stride);
  else
    StoreTileOf<kRows, kVectors, kSmallKind, false>(sums, scales, end, columns, y, stride);
}

// Turns the sums of four neighbouring pixels into bytes: [pixel][4 channels].
template <int kKind>
GAPCAM_INLINE void StoreQuad(I (&sums)[4], FI scale, const ByteEndRegisters& end, Byte* to) {
  constexpr SumKind kSums = static_cast<SumKind>(kKind);
  Raw bytes =
      end.Bytes(end.Words<kSums>(sums[0], scale, sums[1], scale), end.Words<kSums>(sums[2], scale, sums[3], scale));
  if (end.is_bounded) bytes = end.Bounded(bytes);
  vst1q_s8(to, bytes);
}

// Sets the sums of four pixels to the bias, which `twice` holds two times: two loads instead of four moves.
GAPCAM_INLINE void StartQuad(I (&sums)[4], const I (&twice)[2]) {
  asm volatile("ldp %q0, %q1, [%4]\nldp %q2, %q3, [%4]"
               : "=&w"(sums[0]), "=&w"(sums[1]), "=&w"(sums[2]), "=&w"(sums[3])
               : "r"(twice), "m"(twice));
}

// Keeps weights in registers, where compilers would load them again in every step.
GAPCAM_INLINE void Hold(Operands& weights) { asm("" : "+w"(weights)); }

constexpr uint32_t kMostPieces = 1;  // of a row in a block (qwindow.inl)

// Puts the quads of four vectors of channels together: four pixels of 16 channels.
GAPCAM_INLINE void MergeQuads(const Byte* quads, Raw (&pixels)[4]) {
  const I a = LoadSums(quads), b = LoadSums(quads + 16), c = LoadSums(quads + 32), d = LoadSums(quads + 48);
  const int64x2_t ab = vreinterpretq_s64_s32(vzip1q_s32(a, b)), cd = vreinterpretq_s64_s32(vzip1q_s32(c, d));
  const int64x2_t ab2 = vreinterpretq_s64_s32(vzip2q_s32(a, b)), cd2 = vreinterpretq_s64_s32(vzip2q_s32(c, d));
  pixels[0] = vreinterpretq_s8_s64(vzip1q_s64(ab, cd)), pixels[1] = vreinterpretq_s8_s64(vzip2q_s64(ab, cd));
  pixels[2] = vreinterpretq_s8_s64(vzip1q_s64(ab2, cd2)), pixels[3] = vreinterpretq_s8_s64(vzip2q_s64(ab2, cd2));
}
GAPCAM_INLINE void StorePixel(Byte* to, Raw pixel) { vst1q_s8(to, pixel); }

// kLanes bytes as floats.
GAPCAM_INLINE V LoadBytes(const Byte* p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}

// Rounds floats that lie in the range of a byte, half to even, and stores them as kLanes bytes.
GAPCAM_INLINE void StoreBytes(Byte* p, V v) {
  const int16x4_t words = vmovn_s32(vcvtnq_s32_f32(v));
  vst1_lane_s32(reinterpret_cast<int32_t*>(p), vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
}

}  // namespace
}  // namespace gapcam
