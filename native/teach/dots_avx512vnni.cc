// Products of bytes with AVX-512 VNNI: widened to 16 bits, multiplied and added in pairs to the sum.
#include <immintrin.h>

#include "dots.h"

namespace gapcam {
namespace {

typedef __m512i Lanes, Factors;
constexpr size_t kDotStep = 32;
constexpr int kDotPair = 2;

inline Lanes Zero() { return _mm512_setzero_si512(); }
inline Factors Load(const int8_t* from) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Lanes Dot(Lanes sum, Factors x, Factors y) { return _mm512_dpwssd_epi32(sum, x, y); }
inline int32_t Total(Lanes sum) { return _mm512_reduce_add_epi32(sum); }

}  // namespace
}  // namespace gapcam

#define GAPCAM_DOT_NAME DotTileAvx512Vnni
#include "dots.inl"
