// The kernels of any machine, and the choice. With NEON two products of 16 bits are added before they are widened:
// 2 · 127² fits.
#include "kernels.h"

#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "../kernels/targets.h"

namespace gapcam {
namespace {

#if defined(__aarch64__)

typedef int32x4_t Lanes;
typedef int8x16_t Rows, Columns;
constexpr size_t kDotStep = 16;
constexpr int kDotPair = 2;

inline Lanes Zero() { return vdupq_n_s32(0); }
inline Rows LoadRow(const int8_t* from) { return vld1q_s8(from); }
inline Columns LoadColumn(const int8_t* from) { return LoadRow(from); }
inline Lanes Dot(Lanes sum, Rows x, Columns y) {
  return vpadalq_s16(sum, vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(y)), x, y));
}
inline int32_t Total(Lanes sum) { return vaddvq_s32(sum); }

#elif defined(__x86_64__)

typedef __m128i Lanes, Rows, Columns;
constexpr size_t kDotStep = 8;
constexpr int kDotPair = 2;

inline Lanes Zero() { return _mm_setzero_si128(); }
inline Rows LoadRow(const int8_t* from) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
}
inline Columns LoadColumn(const int8_t* from) { return LoadRow(from); }
inline Lanes Dot(Lanes sum, Rows x, Columns y) { return _mm_add_epi32(sum, _mm_madd_epi16(x, y)); }
inline int32_t Total(Lanes sum) {
  alignas(16) int32_t lanes[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(lanes), sum);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

#else
#error "Only x86-64 and arm64 are built"
#endif

inline Lanes Excess(Lanes sum, Columns) { return sum; }

}  // namespace

const TeachKernels& ChooseTeachKernels() {
#if defined(__x86_64__)
#if !defined(GAPCAM_WITHOUT_AVX512)
  if (!Avx512VnniUnsupported()) return kTeachAvx512Vnni;
#endif
  if (!Avx2Unsupported()) return kTeachAvx2;
#elif defined(__aarch64__)
  if (!NeonDotUnsupported()) return kTeachNeonDot;
#endif
  return kTeachPlain;
}

}  // namespace gapcam

#define GAPCAM_TEACH_KERNELS kTeachPlain
#include "kernels.inl"
