// The kernels with SDOT of Armv8.2.
#include <arm_neon.h>

#include <cstring>

#include "kernels.h"

namespace gapcam {
namespace {

typedef int32x4_t Lanes;
typedef int8x16x2_t Rows, Columns;
constexpr size_t kDotStep = 32;
constexpr int kDotPair = 4;

inline Lanes Zero() { return vdupq_n_s32(0); }
inline Rows LoadRow(const int8_t* from) { return vld1q_s8_x2(from); }
inline Columns LoadColumn(const int8_t* from) { return LoadRow(from); }
inline Lanes Dot(Lanes sum, Rows x, Columns y) {
  return vdotq_s32(vdotq_s32(sum, x.val[0], y.val[0]), x.val[1], y.val[1]);
}
inline int32_t Total(Lanes sum) { return vaddvq_s32(sum); }

inline Lanes Excess(Lanes sum, Columns) { return sum; }

}  // namespace
}  // namespace gapcam

#define GAPCAM_TEACH_KERNELS kTeachNeonDot
#include "kernels.inl"
