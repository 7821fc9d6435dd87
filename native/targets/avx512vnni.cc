// AVX-512 with VNNI (vpdpbusd): integers sixteen sums at a time; floats as avx512.
#define GAPCAM_TARGET_AVX512
#define GAPCAM_TARGET_VNNI
#define GAPCAM_TARGET_NAME "avx512vnni"
#define GAPCAM_TARGET_BASE kTargetAvx512
#include "../kernels/integer_target.inl"

namespace gapcam {

const Target kTargetAvx512Vnni = {GAPCAM_TARGET_NAME, Avx512VnniUnsupported, MakeOp, MeasurePeak};

}  // namespace gapcam
