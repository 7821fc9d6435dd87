// Products of bytes with SDOT of Armv8.2.
#include <arm_neon.h>

#include "dots.h"

namespace gapcam {
namespace {

typedef int32x4_t Lanes;
typedef int8x16_t Factors;
constexpr size_t kDotStep = 16;
constexpr int kDotPair = 4;

inline Lanes Zero() { return vdupq_n_s32(0); }
inline Factors Load(const int8_t* from) { return vld1q_s8(from); }
inline Lanes Dot(Lanes sum, Factors x, Factors y) { return vdotq_s32(sum, x, y); }
inline int32_t Total(Lanes sum) { return vaddvq_s32(sum); }

}  // namespace
}  // namespace gapcam

#define GAPCAM_DOT_NAME DotTileNeonDot
#include "dots.inl"
