// The kernels with AVX2. Bytes are widened to 16 bits, multiplied and added in pairs.
#include <immintrin.h>

#include <cstring>

#include "kernels.h"

namespace gapcam {
namespace {

typedef __m256i Lanes, Rows, Columns;
constexpr size_t kDotStep = 16;
constexpr int kDotPair = 2;

inline Lanes Zero() { return _mm256_setzero_si256(); }
inline Rows LoadRow(const int8_t* from) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Columns LoadColumn(const int8_t* from) { return LoadRow(from); }
inline Lanes Dot(Lanes sum, Rows x, Columns y) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, y)); }
inline int32_t Total(Lanes sum) {
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
}

inline Lanes Excess(Lanes sum, Columns) { return sum; }

}  // namespace
}  // namespace gapcam

#define GAPCAM_TEACH_KERNELS kTeachAvx2
#include "kernels.inl"
