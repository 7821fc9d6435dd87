// AVX2 with FMA: 16 registers of 8 floats.
#define GAPCAM_TARGET_AVX2
#define GAPCAM_TARGET_NAME "avx2"
#include "../kernels/target.inl"

namespace gapcam {

const Target kTargetAvx2 = {GAPCAM_TARGET_NAME, Avx2Unsupported, MakeOp, MeasurePeak};

}  // namespace gapcam
