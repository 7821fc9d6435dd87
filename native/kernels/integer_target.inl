// Everything of a target that has its own kernels for integers and takes all others from a base target. A file in
// targets/ defines the macros of target.inl and GAPCAM_TARGET_BASE, the base target, and includes this file.
#include <cstddef>

#include "op.h"
#include "targets.h"

#define GAPCAM_KERNEL(family) family "__" GAPCAM_TARGET_NAME

#include "simd.h"
#include "placed.inl"
#include "shapes.inl"
#include "integers.inl"

namespace gapcam {
namespace {

// Makes the op of any step: see Target::make in op.h.
static const Op* MakeOp(const StepRef& step, Allocator& memory, const char** reason) {
  switch (step.kind) {
    case StepKind::kQuantize:
    case StepKind::kDequantize:
    case StepKind::kQconv2d:
    case StepKind::kQdense:
    case StepKind::kQbinary:
    case StepKind::kLookup:
    case StepKind::kQpool2d:
    case StepKind::kQreduce:
    case StepKind::kQchain: return MakeIntegers(step, memory, reason);
    default: return GAPCAM_TARGET_BASE.make(step, memory, reason);
  }
}

static double MeasurePeak() { return GAPCAM_TARGET_BASE.measure_peak(); }

}  // namespace
}  // namespace gapcam
