// The kernels with AVX-512 VNNI: it multiplies bytes without a sign by bytes with one, so rows get 128 more, and what that
// adds is taken away at the end.
#include <immintrin.h>
#include <cstring>

#include "kernels.h"

namespace gapcam {
namespace {

typedef __m512i Lanes, Rows, Columns;
constexpr size_t kDotStep = 64;
constexpr int kDotPair = 4;

inline Lanes Zero() { return _mm512_setzero_si512(); }
inline Columns LoadColumn(const int8_t* from) { return _mm512_loadu_si512(from); }
inline Rows LoadRow(const int8_t* from) { return _mm512_xor_si512(LoadColumn(from), _mm512_set1_epi8(-128)); }
inline Lanes Dot(Lanes sum, Rows x, Columns y) { return _mm512_dpbusd_epi32(sum, x, y); }
inline Lanes Excess(Lanes sum, Columns y) { return _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), y); }
inline int32_t Total(Lanes sum) { return _mm512_reduce_add_epi32(sum); }

}  // namespace
}  // namespace gapcam

#define GAPCAM_TEACH_KERNELS kTeachAvx512Vnni
#include "kernels.inl"
