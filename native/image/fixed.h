// Eight 16-bit numbers in a register: what rows.cc needs of them beyond the compiler's vector operators. Every processor
// gives the same bits.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace gapcam {

typedef int16_t Fixed __attribute__((vector_size(16)));
typedef uint16_t Words __attribute__((vector_size(16)));
typedef uint32_t Pairs __attribute__((vector_size(16)));
typedef float Floats __attribute__((vector_size(16)));

inline Fixed LoadFixed(const void* from) {
  Fixed value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
inline void StoreFixed(void* to, Fixed value) { std::memcpy(to, &value, sizeof(value)); }

// Shifts of numbers that may be negative.
inline Fixed ShiftLeft(Fixed a, int bits) { return (Fixed)((Words)a << bits); }

// Two halves of eight bytes.
inline Fixed LoadHalves(const void* low, const void* high) {
  int64_t halves[2];
  std::memcpy(&halves[0], low, 8);
  std::memcpy(&halves[1], high, 8);
  return LoadFixed(halves);
}

#if defined(__SSE2__)

// The upper halves of the 32-bit products.
inline Fixed MulHigh(Fixed a, Fixed b) { return (Fixed)_mm_mulhi_epi16((__m128i)a, (__m128i)b); }
inline Fixed Min(Fixed a, Fixed b) { return (Fixed)_mm_min_epi16((__m128i)a, (__m128i)b); }
inline Fixed Max(Fixed a, Fixed b) { return (Fixed)_mm_max_epi16((__m128i)a, (__m128i)b); }
// a0 b0 a1 b1 … of the lower and of the upper four; and the same of pairs.
inline Fixed ZipLow(Fixed a, Fixed b) { return (Fixed)_mm_unpacklo_epi16((__m128i)a, (__m128i)b); }
inline Fixed ZipHigh(Fixed a, Fixed b) { return (Fixed)_mm_unpackhi_epi16((__m128i)a, (__m128i)b); }
inline Fixed ZipPairsLow(Fixed a, Fixed b) { return (Fixed)_mm_unpacklo_epi32((__m128i)a, (__m128i)b); }
inline Fixed ZipPairsHigh(Fixed a, Fixed b) { return (Fixed)_mm_unpackhi_epi32((__m128i)a, (__m128i)b); }
// Eight bytes as numbers.
inline Fixed WidenBytes(const uint8_t* from) {
  return (Fixed)_mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)), _mm_setzero_si128());
}
// Numbers 0 1 2 3, 3 4 5 6.
inline Fixed FromThird(Fixed a) { return (Fixed)_mm_unpacklo_epi64((__m128i)a, _mm_srli_si128((__m128i)a, 6)); }
// Numbers 2 1 0 3, 6 5 4 7.
inline Fixed SwapTriples(Fixed a) {
  constexpr int kSwapped = 0b11'00'01'10;
  return (Fixed)_mm_shufflehi_epi16(_mm_shufflelo_epi16((__m128i)a, kSwapped), kSwapped);
}
// The lower and the upper four as floats.
inline Floats FloatsLow(Fixed a) {
  return (Floats)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16((__m128i)a, (__m128i)a), 16));
}
inline Floats FloatsHigh(Fixed a) {
  return (Floats)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpackhi_epi16((__m128i)a, (__m128i)a), 16));
}

#elif defined(__aarch64__)

inline Fixed MulHigh(Fixed a, Fixed b) {
  const int32x4_t low = vmull_s16(vget_low_s16((int16x8_t)a), vget_low_s16((int16x8_t)b)),
                  high = vmull_high_s16((int16x8_t)a, (int16x8_t)b);
  return (Fixed)vuzp2q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high));
}
inline Fixed Min(Fixed a, Fixed b) { return (Fixed)vminq_s16((int16x8_t)a, (int16x8_t)b); }
inline Fixed Max(Fixed a, Fixed b) { return (Fixed)vmaxq_s16((int16x8_t)a, (int16x8_t)b); }
inline Fixed ZipLow(Fixed a, Fixed b) { return (Fixed)vzip1q_s16((int16x8_t)a, (int16x8_t)b); }
inline Fixed ZipHigh(Fixed a, Fixed b) { return (Fixed)vzip2q_s16((int16x8_t)a, (int16x8_t)b); }
inline Fixed ZipPairsLow(Fixed a, Fixed b) { return (Fixed)vzip1q_s32((int32x4_t)a, (int32x4_t)b); }
inline Fixed ZipPairsHigh(Fixed a, Fixed b) { return (Fixed)vzip2q_s32((int32x4_t)a, (int32x4_t)b); }
inline Fixed WidenBytes(const uint8_t* from) { return (Fixed)vmovl_u8(vld1_u8(from)); }
inline Fixed FromThird(Fixed a) {
  const int16x8_t v = (int16x8_t)a;
  return (Fixed)vcombine_s16(vget_low_s16(v), vget_low_s16(vextq_s16(v, v, 3)));
}
inline Fixed SwapTriples(Fixed a) {
  const Fixed reversed = (Fixed)vrev64q_s16((int16x8_t)a);  // 3 2 1 0, 7 6 5 4
  return (Fixed)vreinterpretq_s16_s64(
      vorrq_s64(vreinterpretq_s64_u64(vshrq_n_u64(vreinterpretq_u64_s16((int16x8_t)reversed), 16)),
                vshlq_n_s64(vreinterpretq_s64_s16((int16x8_t)reversed), 48)));
}
inline Floats FloatsLow(Fixed a) { return (Floats)vcvtq_f32_s32(vmovl_s16(vget_low_s16((int16x8_t)a))); }
inline Floats FloatsHigh(Fixed a) { return (Floats)vcvtq_f32_s32(vmovl_high_s16((int16x8_t)a)); }

#else
#error "the pixel path knows x86-64 and arm64"
#endif

}  // namespace gapcam
