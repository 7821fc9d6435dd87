// Bytes from floats, and sums and products of bytes. Every rounding is half to even. Products are rounded before anything
// is added to them, except in sums of two tensors, whose multiplications and additions are fused on every target.
namespace gapcam {
namespace {

constexpr int32_t kLeastByte = kByteType == PlanType::kUint8 ? 0 : -128, kMostByte = kLeastByte + 255;

// A tensor's bytes, or null for an absent tensor.
GAPCAM_INLINE Byte* BytesOf(const TensorRef* tensor) { return tensor ? static_cast<Byte*>(tensor->data) : nullptr; }

// Keeps the compiler from merging a multiplication with the addition that follows.
GAPCAM_INLINE V Rounded(V a) {
#if defined(GAPCAM_TARGET_NEON)
  asm("" : "+w"(a));
#elif defined(GAPCAM_TARGET_AVX512)
  asm("" : "+v"(a));
#else
  asm("" : "+x"(a));
#endif
  return a;
}

GAPCAM_INLINE V Within(V v, float low, float high) { return Min(Set(high), Max(Set(low), v)); }

// Rounds half to even. The magnitude of v must be below 2^22.
GAPCAM_INLINE V RoundEven(V v) {
  const V magic = Set(12582912.0f);  // 1.5 · 2^23: what is added to it has no room for a fraction
  return Rounded(v + magic) - magic;
}

// What makes a byte a number from 0 to 255. Sums and products are defined on these, so that both types have the same.
constexpr int32_t kToUnsigned = -kLeastByte;

// a · b + c with one rounding.
GAPCAM_INLINE V Fused(V a, V b, V c) {
#if defined(GAPCAM_TARGET_NEON)
  return vfmaq_f32(c, a, b);
#elif defined(GAPCAM_TARGET_AVX512)
  return _mm512_fmadd_ps(a, b, c);
#else
  return _mm256_fmadd_ps(a, b, c);
#endif
}

// Bytes as numbers from 0 to 255, and back after rounding.
GAPCAM_INLINE V Unsigned(V bytes) { return kToUnsigned == 0 ? bytes : bytes + Set(kToUnsigned); }
GAPCAM_INLINE V RoundedBytes(V numbers) { return kToUnsigned == 0 ? numbers : RoundEven(numbers) - Set(kToUnsigned); }

// A sum of two quantised values, from 0 to 255: clamp(rint(fused(a, a_scale, fused(b, b_scale, shift)))).
struct ResidualEnd {
  float a_scale, b_scale, shift, low, high;
};

// The sum of bytes with these codes, as onnxruntime's QLinearAdd computes it (quantized-steps.ts).
GAPCAM_INLINE ResidualEnd MakeResidualEnd(const QuantCode& a, const QuantCode& b, const QuantCode& y, int32_t low,
                                          int32_t high) {
  const auto number = [](int32_t byte) { return static_cast<float>(byte + kToUnsigned); };
  const V p = Set(a.scale) / Set(y.scale), q = Set(b.scale) / Set(y.scale);
  const V zeros = Fused(p, Set(number(a.zero)), Rounded(q * Set(number(b.zero))));
  return {p[0], q[0], number(y.zero) - zeros[0], number(low), number(high)};
}

// The sums of kLanes bytes, ready to be stored.
GAPCAM_INLINE V AddedBytes(const ResidualEnd& end, V a, V b) {
  const V second = Fused(Unsigned(b), Set(end.b_scale), Set(end.shift));
  return RoundedBytes(Within(Fused(Unsigned(a), Set(end.a_scale), second), end.low, end.high));
}

// y = body(a, b) for `count` bytes, kLanes at a time. y may be a or b.
template <class Body>
GAPCAM_INLINE void ByteLanes(const Byte* a, const Byte* b, Byte* y, uint32_t count, const Body& body) {
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) StoreBytes(y + i, body(LoadBytes(a + i), LoadBytes(b + i)));
  if (i == count) return;
  Byte rest[3][kLanes] = {};
  std::memcpy(rest[0], a + i, count - i);
  std::memcpy(rest[1], b + i, count - i);
  StoreBytes(rest[2], body(LoadBytes(rest[0]), LoadBytes(rest[1])));
  std::memcpy(y + i, rest[2], count - i);
}

#if defined(GAPCAM_TARGET_NEON)
// Four floats of four words.
GAPCAM_INLINE V FloatsOf(int16x4_t words) { return vcvtq_f32_s32(vmovl_s16(words)); }

// AddBytes for 16 bytes. Rounding before the clamp gives the same, because the limits are whole.
GAPCAM_INLINE void AddSixteen(const ResidualEnd& end, const Byte* a, const Byte* b, Byte* y) {
  const auto sum = [&](int16x4_t p, int16x4_t q) __attribute__((always_inline)) {
    const V second = Fused(FloatsOf(q), Set(end.b_scale), Set(end.shift));
    return vqmovn_s32(vcvtnq_s32_f32(Fused(FloatsOf(p), Set(end.a_scale), second)));
  };
  const auto sums = [&](int16x8_t p, int16x8_t q) __attribute__((always_inline)) {
    return vcombine_s16(sum(vget_low_s16(p), vget_low_s16(q)), sum(vget_high_s16(p), vget_high_s16(q)));
  };
  const int16x8_t zero = vdupq_n_s16(kToUnsigned);
  const int8x16_t p = vld1q_s8(a), q = vld1q_s8(b);
  const int16x8_t low = sums(vaddw_s8(zero, vget_low_s8(p)), vaddw_s8(zero, vget_low_s8(q)));
  const int16x8_t high = sums(vaddw_high_s8(zero, p), vaddw_high_s8(zero, q));
  const uint8x16_t bytes = vqmovun_high_s16(vqmovun_s16(low), high);
  const uint8x16_t bounded =
      vminq_u8(vdupq_n_u8(static_cast<uint8_t>(end.high)), vmaxq_u8(vdupq_n_u8(static_cast<uint8_t>(end.low)), bytes));
  vst1q_s8(y, vreinterpretq_s8_u8(veorq_u8(bounded, vdupq_n_u8(0x80))));
}
#elif defined(GAPCAM_TARGET_AVX512)
// AddBytes for two pieces of 32 bytes, `stride` bytes apart. Rounding before the clamp gives the same, because the limits
// are whole.
GAPCAM_INLINE void AddPieces(const ResidualEnd& end, const Byte* a, const Byte* b, Byte* y, size_t stride) {
  const auto sums = [&](size_t at) __attribute__((always_inline)) {
    const V second = Fused(LoadBytes(b + at), Set(end.b_scale), Set(end.shift));
    return _mm512_cvtps_epi32(Fused(LoadBytes(a + at), Set(end.a_scale), second));
  };
  const Raw first = _mm512_packs_epi32(sums(0), sums(16)), second = _mm512_packs_epi32(sums(stride), sums(stride + 16));
  const Raw least = SetBytes(static_cast<int32_t>(end.low)), most = SetBytes(static_cast<int32_t>(end.high));
  const Raw bytes = GatherFours(_mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(first, second), least), most));
  StorePiece<32, 0>(y, bytes), StorePiece<32, 1>(y + stride, bytes);
}
#endif

// y = a + b, for `rows` rows of `count` bytes. `stride` is from one row to the next of a, b and y. y may be a or b.
GAPCAM_INLINE void AddRows(const ResidualEnd& given, const Byte* a, const Byte* b, Byte* y, uint32_t rows,
                           uint32_t count, size_t stride) {
  const ResidualEnd end = given;  // a copy, which no store of a byte can change
  if (count == stride) count *= rows, rows = 1;
#if defined(GAPCAM_TARGET_AVX512)
  for (; rows > 1 && count % 32 == 0; rows -= 2, a += 2 * stride, b += 2 * stride, y += 2 * stride)
    for (uint32_t i = 0; i < count; i += 32) AddPieces(end, a + i, b + i, y + i, stride);
#endif
  for (; rows > 0; --rows, a += stride, b += stride, y += stride) {
    uint32_t i = 0;
#if defined(GAPCAM_TARGET_NEON)
    for (; i + 16 <= count; i += 16) AddSixteen(end, a + i, b + i, y + i);
#elif defined(GAPCAM_TARGET_AVX512)
    for (; i + 64 <= count; i += 64) AddPieces(end, a + i, b + i, y + i, 32);
#endif
    if (i < count)
      ByteLanes(a + i, b + i, y + i, count - i,
                [&](V p, V q) __attribute__((always_inline)) { return AddedBytes(end, p, q); });
  }
}

// y = a + b, for `count` bytes. y may be a or b.
GAPCAM_INLINE void AddBytes(const ResidualEnd& end, const Byte* a, const Byte* b, Byte* y, uint32_t count) {
  AddRows(end, a, b, y, 1, count, 0);
}

}  // namespace
}  // namespace gapcam
