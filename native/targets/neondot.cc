// NEON with the dot product (SDOT, ARMv8.2), as on Cortex-A76: integers; floats as neon.
#define GAPCAM_TARGET_NEON
#define GAPCAM_TARGET_DOT
#define GAPCAM_TARGET_NAME "neondot"
#define GAPCAM_TARGET_BASE kTargetNeon
#include "../kernels/integer_target.inl"

namespace gapcam {

const Target kTargetNeonDot = {GAPCAM_TARGET_NAME, NeonDotUnsupported, MakeOp, MeasurePeak};

}  // namespace gapcam
