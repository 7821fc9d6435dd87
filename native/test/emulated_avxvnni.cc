// The integer kernels of avxvnni, with its instruction emulated: a target for the tests on every machine with AVX2.
#if defined(__x86_64__)
#define GAPCAM_TARGET_AVX2
#define GAPCAM_TARGET_VNNI
#define GAPCAM_EMULATED_DOT
#define GAPCAM_TARGET_NAME "emulated avxvnni"
#define GAPCAM_TARGET_BASE kTargetAvx2
#include "../kernels/integer_target.inl"
#include "targets.h"

namespace gapcam_test {

const gapcam::Target kEmulatedAvxVnni = {GAPCAM_TARGET_NAME, gapcam::Avx2Unsupported, gapcam::MakeOp,
                                         gapcam::MeasurePeak};

}  // namespace gapcam_test
#endif
