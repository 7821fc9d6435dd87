// Everything of a target: all kernel families compiled for it, and the choice of the op for a step. A file in targets/
// defines GAPCAM_TARGET_NAME and one of GAPCAM_TARGET_AVX512, _AVX2, _NEON or _REFERENCE, and includes this file.
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
#if defined(GAPCAM_TARGET_NEON)
#include "gemm_neon.inl"
#else
#include "gemm_tile.inl"
#endif
#include "conv.inl"
#include "conv_bands.inl"
#include "winograd_transform.inl"
#include "winograd.inl"
#include "dense.inl"
#include "product.inl"
#include "window.inl"
#include "chain.inl"
#include "chain_make.inl"
#include "conv_choice.inl"
#include "reference.inl"
#include "pool.inl"
#include "reduce.inl"
#include "byte_maximum.inl"
#include "elementwise.inl"
#include "normalize.inl"
#include "movement.inl"
#include "peak.inl"
#if defined(GAPCAM_TARGET_REFERENCE)
#include "qreference.inl"
#include "qreference_chain.inl"
#include "qreference_plain.inl"
#else
#include "integers.inl"
#endif

namespace gapcam {
namespace {

#if defined(GAPCAM_TARGET_REFERENCE)
constexpr bool kIsReference = true;
#else
constexpr bool kIsReference = false;
#endif

// A Make function of a family.
using Maker = const Op* (*)(const StepRef&, Allocator&, const char**);

// Chooses by the element type of the first input.
static const Op* ByElement(const StepRef& step, Allocator& memory, const char** reason, Maker floats, Maker uint8,
                           Maker int8) {
  const PlanType type = step.inputs[0]->type;
  const Maker make = type == PlanType::kFloat32 ? floats : type == PlanType::kUint8 ? uint8 : int8;
  return make(step, memory, reason);
}

// Makes the op of an integer step.
static const Op* MakeQuantized(const StepRef& step, Allocator& memory, const char** reason) {
#if defined(GAPCAM_TARGET_REFERENCE)
  return MakeQuantReference(step, memory, reason);
#else
  return MakeIntegers(step, memory, reason);
#endif
}

// Makes the op of any step: see Target::make in op.h.
static const Op* MakeOp(const StepRef& step, Allocator& memory, const char** reason) {
  if (step.inputs[0]->type == PlanType::kFloat16)
    return Refuse(reason, "only the target neonhalf computes in half precision");
  switch (step.kind) {
    case StepKind::kConv2d:
      return kIsReference ? MakeConvReference(step, memory, reason) : MakeConv(step, memory, reason);
    case StepKind::kDense:
      return kIsReference ? MakeDenseReference(step, memory, reason) : MakeDense(step, memory, reason);
    case StepKind::kPool2d:
      return ByElement(step, memory, reason, MakePool2d, MakeMaxPoolBytes<uint8_t>, MakeMaxPoolBytes<int8_t>);
    case StepKind::kReduce:
      return ByElement(step, memory, reason, MakeReduce, MakeReduceBytes<uint8_t>, MakeReduceBytes<int8_t>);
    case StepKind::kElementwise: return MakeElementwise(step, memory, reason);
    case StepKind::kBinary: return MakeBinary(step, memory, reason);
    case StepKind::kSoftmax: return MakeSoftmax(step, memory, reason);
    case StepKind::kLpNormalization: return MakeLpNormalization(step, memory, reason);
    case StepKind::kLrn: return MakeLrn(step, memory, reason);
    case StepKind::kCopy: return ByElement(step, memory, reason, MakeCopy<float>, MakeCopy<uint8_t>, MakeCopy<uint8_t>);
    case StepKind::kConcat:
      return ByElement(step, memory, reason, MakeConcat<float>, MakeConcat<uint8_t>, MakeConcat<uint8_t>);
    case StepKind::kResample:
      return ByElement(step, memory, reason, MakeResample<float>, MakeResample<uint8_t>, MakeResample<uint8_t>);
    case StepKind::kChain: return MakeChain(step, memory, reason);
    case StepKind::kProduct: return MakeProduct(step, memory, reason);
    case StepKind::kQuantize:
    case StepKind::kDequantize:
    case StepKind::kQconv2d:
    case StepKind::kQdense:
    case StepKind::kQbinary:
    case StepKind::kLookup:
    case StepKind::kQpool2d:
    case StepKind::kQreduce:
    case StepKind::kQchain: return MakeQuantized(step, memory, reason);
    case StepKind::kCast: return Refuse(reason, "only the target neonhalf computes in half precision");
  }
  return Refuse(reason, "the target has no kernel for it");
}

}  // namespace
}  // namespace gapcam
