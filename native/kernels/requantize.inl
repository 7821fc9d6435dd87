// Bytes from floats, and sums and products of bytes. Every rounding is half to even and follows a single-precision
// multiplication of its own: no fused multiply-add, which rounds once where two roundings are wanted.
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

// A sum of two quantised values: clamp(rint(a · a_scale + (b · b_scale + shift))).
struct ResidualEnd {
  float a_scale, b_scale, shift, low, high;
};

// The sum of bytes with these scales and zero points, as onnxruntime's QLinearAdd computes it.
GAPCAM_INLINE ResidualEnd MakeResidualEnd(float a_scale, int32_t a_zero, float b_scale, int32_t b_zero, float y_scale,
                                          int32_t y_zero, int32_t low, int32_t high) {
  const V a = Set(a_scale) / Set(y_scale), b = Set(b_scale) / Set(y_scale);
  const V zeros = Rounded(a * Set(static_cast<float>(a_zero))) + Rounded(b * Set(static_cast<float>(b_zero)));
  return {a[0], b[0], static_cast<float>(y_zero) - Rounded(zeros)[0], static_cast<float>(low),
          static_cast<float>(high)};
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
// Four floats of eight words.
GAPCAM_INLINE V FloatsOf(int16x4_t words) { return vcvtq_f32_s32(vmovl_s16(words)); }

// AddBytes for 16 bytes. Rounding before the clamp gives the same, because the limits are whole.
GAPCAM_INLINE void AddSixteen(const ResidualEnd& end, const Byte* a, const Byte* b, Byte* y) {
  const auto sum = [&](int16x4_t p, int16x4_t q) __attribute__((always_inline)) {
    const V second = Rounded(Rounded(FloatsOf(q) * Set(end.b_scale)) + Set(end.shift));
    return vqmovn_s32(vcvtnq_s32_f32(Rounded(FloatsOf(p) * Set(end.a_scale)) + second));
  };
  const int8x16_t p = vld1q_s8(a), q = vld1q_s8(b);
  const int16x8_t p0 = vmovl_s8(vget_low_s8(p)), p1 = vmovl_high_s8(p), q0 = vmovl_s8(vget_low_s8(q)),
                  q1 = vmovl_high_s8(q);
  const int16x8_t low =
      vcombine_s16(sum(vget_low_s16(p0), vget_low_s16(q0)), sum(vget_high_s16(p0), vget_high_s16(q0)));
  const int16x8_t high =
      vcombine_s16(sum(vget_low_s16(p1), vget_low_s16(q1)), sum(vget_high_s16(p1), vget_high_s16(q1)));
  const int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(low), high);
  vst1q_s8(y, vminq_s8(vdupq_n_s8(static_cast<int8_t>(end.high)),
                       vmaxq_s8(vdupq_n_s8(static_cast<int8_t>(end.low)), bytes)));
}
#endif

// y = a + b, for `count` bytes. y may be a or b.
GAPCAM_INLINE void AddBytes(const ResidualEnd& end, const Byte* a, const Byte* b, Byte* y, uint32_t count) {
#if defined(GAPCAM_TARGET_NEON)
  for (; count >= 16; count -= 16, a += 16, b += 16, y += 16) AddSixteen(end, a, b, y);
#endif
  const V a_scale = Set(end.a_scale), b_scale = Set(end.b_scale), shift = Set(end.shift);
  ByteLanes(a, b, y, count, [&](V p, V q) __attribute__((always_inline)) {
    return Within(Rounded(p * a_scale) + Rounded(Rounded(q * b_scale) + shift), end.low, end.high);
  });
}

}  // namespace
}  // namespace gapcam
