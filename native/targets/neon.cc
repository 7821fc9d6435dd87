#define GAPCAM_TARGET_NEON
#define GAPCAM_TARGET_NAME "neon"
#include "../kernels/target.inl"

namespace gapcam {

const Target kTargetNeon = {GAPCAM_TARGET_NAME, AlwaysSupported, MakeOp, MeasurePeak};

}  // namespace gapcam
