// The 512-bit instructions that native/kernels/qsimd_x86.inl uses, on processors with AVX2 only: each half of a vector by
// the 256-bit instruction of the same name, where both work within 128 bits, and otherwise lane by lane. This is how
// the tests run the AVX-512 code of the integer kernels on every x86 machine.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace {

typedef long long Wide __attribute__((vector_size(64)));
typedef float WideFloats __attribute__((vector_size(64)));

template <class Vector>
__m256i Half(Vector v, int half) {
  __m256i part;
  std::memcpy(&part, reinterpret_cast<const char*>(&v) + 32 * half, 32);
  return part;
}

template <class Vector = Wide>
Vector Joined(__m256i low, __m256i high) {
  Vector v;
  std::memcpy(&v, &low, 32);
  std::memcpy(reinterpret_cast<char*>(&v) + 32, &high, 32);
  return v;
}

#define GAPCAM_EMULATE(op)                                                                   \
  [[maybe_unused]] Wide Emulated_##op(Wide a, Wide b) {                                      \
    return Joined(_mm256_##op(Half(a, 0), Half(b, 0)), _mm256_##op(Half(a, 1), Half(b, 1))); \
  }
GAPCAM_EMULATE(adds_epi16)
GAPCAM_EMULATE(packs_epi32)
GAPCAM_EMULATE(packus_epi16)
GAPCAM_EMULATE(min_epu8)
GAPCAM_EMULATE(max_epu8)
GAPCAM_EMULATE(min_epi32)
GAPCAM_EMULATE(madd_epi16)
GAPCAM_EMULATE(unpacklo_epi8)
GAPCAM_EMULATE(unpackhi_epi8)
GAPCAM_EMULATE(unpacklo_epi16)
GAPCAM_EMULATE(unpackhi_epi16)
GAPCAM_EMULATE(unpacklo_epi32)
GAPCAM_EMULATE(unpackhi_epi32)
GAPCAM_EMULATE(unpacklo_epi64)
GAPCAM_EMULATE(unpackhi_epi64)
#undef GAPCAM_EMULATE

Wide Emulated_set1_epi8(char x) { return Joined(_mm256_set1_epi8(x), _mm256_set1_epi8(x)); }
Wide Emulated_set1_epi16(short x) { return Joined(_mm256_set1_epi16(x), _mm256_set1_epi16(x)); }
Wide Emulated_set1_epi32(int x) { return Joined(_mm256_set1_epi32(x), _mm256_set1_epi32(x)); }

[[maybe_unused]] Wide Emulated_slli_epi16(Wide a, int n) {
  return Joined(_mm256_slli_epi16(Half(a, 0), n), _mm256_slli_epi16(Half(a, 1), n));
}
[[maybe_unused]] Wide Emulated_srli_epi16(Wide a, int n) {
  return Joined(_mm256_srli_epi16(Half(a, 0), n), _mm256_srli_epi16(Half(a, 1), n));
}
[[maybe_unused]] Wide Emulated_srai_epi16(Wide a, int n) {
  return Joined(_mm256_srai_epi16(Half(a, 0), n), _mm256_srai_epi16(Half(a, 1), n));
}

WideFloats Emulated_cvtepi32_ps(Wide a) {
  return Joined<WideFloats>(_mm256_castps_si256(_mm256_cvtepi32_ps(Half(a, 0))),
                            _mm256_castps_si256(_mm256_cvtepi32_ps(Half(a, 1))));
}
Wide Emulated_cvtps_epi32(WideFloats a) {
  return Joined(_mm256_cvtps_epi32(_mm256_castsi256_ps(Half(a, 0))),
                _mm256_cvtps_epi32(_mm256_castsi256_ps(Half(a, 1))));
}

// The lanes of `a` in the order of `index`.
Wide Emulated_permutexvar_epi64(Wide index, Wide a) {
  Wide result;
  for (int i = 0; i < 8; ++i) result[i] = a[index[i] & 7];
  return result;
}
Wide Emulated_permutexvar_epi32(Wide index, Wide a) {
  uint32_t at[16], from[16], to[16];
  std::memcpy(at, &index, 64);
  std::memcpy(from, &a, 64);
  for (int i = 0; i < 16; ++i) to[i] = from[at[i] & 15];
  Wide result;
  std::memcpy(&result, to, 64);
  return result;
}
[[maybe_unused]] __m128i Emulated_extracti32x4_epi32(Wide a, int part) {
  __m128i result;
  std::memcpy(&result, reinterpret_cast<const char*>(&a) + 16 * part, 16);
  return result;
}
[[maybe_unused]] __m256i Emulated_extracti64x4_epi64(Wide a, int part) { return Half(a, part); }

}  // namespace
