// AVX-VNNI (vpdpbusd on 256 bits): integers eight sums at a time; floats as avx2.
#define GAPCAM_TARGET_AVX2
#define GAPCAM_TARGET_VNNI
#define GAPCAM_TARGET_NAME "avxvnni"
#define GAPCAM_TARGET_BASE kTargetAvx2
#include "../kernels/integer_target.inl"

namespace gapcam {

const Target kTargetAvxVnni = {GAPCAM_TARGET_NAME, AvxVnniUnsupported, MakeOp, MeasurePeak};

}  // namespace gapcam
