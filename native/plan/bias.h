// The biases of steps on integers.
#pragma once
#include "../kernels/op.h"

namespace gapcam {

// Clamps the int32 biases of an integer step, in place, so that no sum of the step leaves int32 whatever the input is.
// Files have such biases, near 2^31, in channels whose weights are nearly zero; the clamp moves such a channel by less
// than one step of its result, where the sum would have wrapped around. The constants of `step` must be writable. Does
// nothing for other kinds.
void LimitBiases(const StepRef& step);

}  // namespace gapcam
