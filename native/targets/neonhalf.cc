// NEON in half precision (ARMv8.2 with FP16 and the dot product), as on Cortex-A76. Only plans compiled for half precision
// need it; their steps on floats and integers are those of neondot.
#define GAPCAM_TARGET_HALF
#define GAPCAM_TARGET_NAME "neonhalf"
#define GAPCAM_TARGET_BASE kTargetNeonDot
#include "../kernels/half_target.inl"

namespace gapcam {
namespace {

double MeasurePeak() { return kTargetNeonDot.measure_peak(); }

}  // namespace

const Target kTargetNeonHalf = {GAPCAM_TARGET_NAME, NeonHalfUnsupported, MakeOp, MeasurePeak};

}  // namespace gapcam
