// Everything of a target in half precision: steps on float16 tensors, and the cast from and to single precision. Steps on
// floats are made by the target GAPCAM_TARGET_BASE. The compiler only writes plans with float16 tensors that this target
// can compute (src/model/precision.ts).
#include <cstddef>
#include <ctime>

#include "op.h"
#include "targets.h"

#define GAPCAM_KERNEL(family) family "__" GAPCAM_TARGET_NAME

#include "simd.h"
#include "placed.inl"
#include "shapes.inl"
#include "activation.inl"
#include "gemm_weights.inl"
#include "gemm.inl"
#include "gemm_neon.inl"
#include "conv.inl"
#include "conv_bands.inl"
#include "winograd_transform.inl"
#include "winograd.inl"
#include "window.inl"
#include "chain.inl"
#include "chain_make.inl"
#include "conv_choice.inl"
#include "pool.inl"
#include "cast.inl"

namespace gapcam {
namespace {

// Makes the op of any step: see Target::make in op.h.
static const Op* MakeOp(const StepRef& step, Allocator& memory, const char** reason) {
  if (step.kind == StepKind::kCast) return MakeCast(step, memory, reason);
  if (step.inputs[0]->type != PlanType::kFloat16) return GAPCAM_TARGET_BASE.make(step, memory, reason);
  if (step.kind == StepKind::kConv2d) return MakeConv(step, memory, reason);
  if (step.kind == StepKind::kChain) return MakeChain(step, memory, reason);
  if (step.kind == StepKind::kPool2d) return MakePool2d(step, memory, reason);
  return Refuse(reason, "the target has no kernel for it in half precision");
}

}  // namespace
}  // namespace gapcam
