// AVX-512 (F, DQ, BW, VL): 32 registers of 16 floats.
#define GAPCAM_TARGET_AVX512
#define GAPCAM_TARGET_NAME "avx512"
#include "../kernels/target.inl"

namespace gapcam {

const Target kTargetAvx512 = {GAPCAM_TARGET_NAME, Avx512Unsupported, MakeOp, MeasurePeak};

}  // namespace gapcam
