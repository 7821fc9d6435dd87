// The reference target: baseline instructions only, with convolutions and dense layers by their definition.
#define GAPCAM_TARGET_REFERENCE
#define GAPCAM_TARGET_NAME "scalar"
#include "../kernels/target.inl"

namespace gapcam {

const Target kTargetReference = {GAPCAM_TARGET_NAME, AlwaysSupported, MakeOp, MeasurePeak};

}  // namespace gapcam
