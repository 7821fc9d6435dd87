// NEON on 64-bit Arm: 32 registers of 4 floats. Every ARMv8.0 processor supports it.
#define GAPCAM_TARGET_NEON
#define GAPCAM_TARGET_NAME "neon"
#include "../kernels/target.inl"

namespace gapcam {

const Target kTargetNeon = {GAPCAM_TARGET_NAME, AlwaysSupported, MakeOp, MeasurePeak};

}  // namespace gapcam
