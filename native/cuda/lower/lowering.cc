#include "lowering.h"

#include <algorithm>

namespace gapcam {
namespace cuda {

static constexpr char kNoIntegers[] =
    "computes on 8-bit integers, which CUDA does not serve: compile the model for floating point";

// Granlund and Montgomery, "Division by Invariant Integers": the multiplier ⌈2^(31 + ⌈log2 d⌉) / d⌉ is below 2^32, and
// the quotient is exact for numerators below 2^31.
Divisor DivideBy(uint32_t value) {
  if (value <= 1) return {1, 0, 0};
  uint32_t log = 0;
  while ((uint64_t{1} << log) < value) ++log;
  const auto power = static_cast<unsigned __int128>(1) << (31 + log);
  return {value, static_cast<uint32_t>((power + value - 1) / value), log - 1};
}

Lowering::Lowering(const Plan& plan, const Generation& generation, Program* program)
    : plan_(plan),
      program_(*program),
      is_half_(generation.precision == Precision::kFloat16),
      has_mma_(generation.sm >= 80),
      wanted_blocks_(2 * std::max<uint32_t>(1, generation.multiprocessors)) {}

Status Lowering::Run() {
  program_.activation_bytes = AlignUp(OnDevice(plan_.arena_bytes));
  Status status = TakeInputs();
  if (status.ok()) status = PlaceOutputs();
  const uint64_t arena_end = program_.activation_bytes;
  for (step_ = 0; status.ok() && step_ < plan_.steps.size(); ++step_) {
    scratch_at_ = arena_end;
    status = LowerStep(plan_.steps[step_]);
  }
  step_ = kAbsent;
  if (status.ok()) GiveOutputs();
  return status;
}

Status Lowering::Refuse(const char* why) const {
  return Status::Error("ENGINE_UNAVAILABLE", "step %.80s (%s) %s", plan_.steps[step_].name.c_str(),
                       kStepShapes[static_cast<uint32_t>(plan_.steps[step_].kind)].name, why);
}

// The engine compiles a model for CUDA with floats; a plan with bytes comes only from elsewhere.
bool Lowering::UsesIntegers(const PlanStep& step) const {
  const auto is_integer = [this](uint32_t id) {
    return id != kAbsent && !plan_.tensors[id].is_constant && plan_.tensors[id].type != PlanType::kFloat32;
  };
  return std::any_of(step.inputs.begin(), step.inputs.end(), is_integer) ||
         std::any_of(step.outputs.begin(), step.outputs.end(), is_integer);
}

Status Lowering::LowerStep(const PlanStep& step) {
  if (UsesIntegers(step)) return Refuse(kNoIntegers);
  switch (step.kind) {
    case StepKind::kConv2d: return LowerConv(step);
    case StepKind::kDense: return LowerDense(step);
    case StepKind::kChain: return LowerChain(step);
    case StepKind::kPool2d: LowerPool(step); break;
    case StepKind::kReduce: LowerReduce(step); break;
    case StepKind::kElementwise: LowerElementwise(step); break;
    case StepKind::kBinary: LowerBinary(step); break;
    case StepKind::kSoftmax: LowerSoftmax(step); break;
    case StepKind::kLpNormalization: LowerLpNormalization(step); break;
    case StepKind::kLrn: LowerLrn(step); break;
    case StepKind::kCopy: LowerCopy(step); break;
    case StepKind::kConcat: LowerConcat(step); break;
    case StepKind::kResample: LowerResample(step); break;
    case StepKind::kProduct: LowerProduct(step); break;
    case StepKind::kQuantize:
    case StepKind::kDequantize:
    case StepKind::kQconv2d:
    case StepKind::kQdense:
    case StepKind::kQbinary:
    case StepKind::kLookup:
    case StepKind::kQpool2d:
    case StepKind::kQreduce:
    case StepKind::kQchain: return Refuse(kNoIntegers);
    case StepKind::kCast: return Refuse("the plan is for half precision on Arm processors");
  }
  return Status::Ok();
}

Place Lowering::Of(uint32_t id) {
  const PlanTensor& tensor = plan_.tensors[id];
  if (!tensor.is_constant) return {kActivations, OnDevice(tensor.offset), tensor.elements, element_bytes()};
  const auto known = constants_.find(id);
  if (known != constants_.end()) return known->second;
  return constants_[id] = Pack(tensor.elements, [&](uint32_t i) { return ValueAt(tensor, i); });
}

Place Lowering::Scratch(uint64_t elements, uint32_t bytes) {
  const Place place = {kActivations, scratch_at_, static_cast<uint32_t>(elements), bytes};
  scratch_at_ = AlignUp(scratch_at_ + elements * bytes);
  program_.activation_bytes = std::max(program_.activation_bytes, scratch_at_);
  return place;
}

uint8_t* Lowering::Grow(uint32_t count, uint32_t bytes, Place* place) {
  const uint64_t at = AlignUp(program_.weights.size());
  program_.weights.resize(at + uint64_t{count} * bytes);
  *place = {kWeights, at, count, bytes};
  return program_.weights.data() + at;
}

Place Lowering::PackIndices(const PlanTensor& tensor) {
  Place place;
  std::memcpy(Grow(tensor.elements, BytesOf(tensor.type), &place), tensor.constant, tensor.bytes);
  return place;
}

Place Lowering::PackBias(const PlanTensor* bias) {
  return bias ? PackFloats(bias->elements, [&](uint32_t i) { return ValueAt(*bias, i); }) : Place();
}

}  // namespace cuda
}  // namespace gapcam
