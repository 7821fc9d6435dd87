// The fast kernels of the steps on integers, and the choice among them. A target's vector layer has one type of bytes;
// the reference target serves the other type, and what no kernel here serves.
#include "unrolled.inl"
#if defined(GAPCAM_TARGET_NEON)
#include "qsimd_neon.inl"
#if defined(GAPCAM_TARGET_DOT)
#include "qgemm_dot_tile.inl"
#include "qsimd_neon_dot.inl"
#else
#include "qgemm_words_tile.inl"
#include "qsimd_neon_words.inl"
#endif
#include "qsimd_neon_product.inl"
#else
#include "qsimd_x86.inl"
#include "qsimd_x86_end.inl"
#endif
#include "requantize.inl"
#include "qmean.inl"
#include "qgemm_weights.inl"
#include "qgemm.inl"
#include "qrows.inl"
#include "qconv.inl"
#include "qdense.inl"
#include "qwindow.inl"
#include "qdepthwise.inl"
#include "qchain_strips.inl"
#include "qchain_make.inl"
#include "qchain.inl"
#include "qelementwise.inl"

namespace gapcam {
namespace {

// Whether every tensor of bytes that is computed has the type of this target's vectors.
static bool HasFastBytes(const StepRef& step) {
  const auto is_fast = [](const TensorRef* tensor) {
    return !tensor || tensor->constant || (tensor->type != PlanType::kInt8 && tensor->type != PlanType::kUint8) ||
           tensor->type == kByteType;
  };
  bool all = true;
  for (uint32_t i = 0; i < step.input_count; ++i) all = all && is_fast(step.inputs[i]);
  for (uint32_t i = 0; i < step.output_count; ++i) all = all && is_fast(step.outputs[i]);
  return all;
}

// Makes the op of an integer step, or that of the reference target where there is no fast kernel.
static const Op* MakeIntegers(const StepRef& step, Allocator& memory, const char** reason) {
  if (HasFastBytes(step)) {
    switch (step.kind) {
      case StepKind::kQconv2d: return MakeQuantConv2d(step, memory, reason);
      case StepKind::kQchain: return MakeQuantChain(step, memory, reason);
      case StepKind::kQdense: return MakeQuantDense(step, memory, reason);
      case StepKind::kQuantize: return MakeQuantize(step, memory, reason);
      case StepKind::kQbinary: return MakeQuantBinary(step, memory, reason);
      case StepKind::kQreduce: return MakeQuantMean(step, memory, reason);
      default: break;
    }
  }
  return kTargetReference.make(step, memory, reason);
}

}  // namespace
}  // namespace gapcam
