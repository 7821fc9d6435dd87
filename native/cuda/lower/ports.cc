// The ports of a program. Inputs are converted to the network's element type. Outputs are float32 in the host's memory.
//
// The kernel that computes an output writes it there directly, without rounding to half precision and without another
// launch. This is possible if nothing on the device reads the value afterwards, and if the step computes it: values
// that copy and concat move, and values that a later launch reads, are converted after all steps.
#include "lowering.h"

namespace gapcam {
namespace cuda {
namespace {

bool Overlap(const PlanTensor& a, const PlanTensor& b) {
  return !a.is_constant && !b.is_constant && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

bool IsMovement(StepKind kind) { return kind == StepKind::kCopy || kind == StepKind::kConcat; }

}  // namespace

Status Lowering::TakeInputs() {
  for (const PlanPort& port : plan_.inputs) {
    const PlanTensor& tensor = plan_.tensors[port.tensor];
    if (tensor.type != PlanType::kFloat32)
      return Status::Error("ENGINE_UNAVAILABLE", "input %.80s is not float32", port.name.c_str());
    const Place from = {kInput, program_.input_bytes, tensor.elements, BytesOf(tensor.type)};
    program_.inputs.push_back({port.tensor, from.offset, tensor.bytes});
    program_.input_bytes = AlignUp(program_.input_bytes + tensor.bytes);
    Draft<ConvertParams> draft;
    draft.Put(&draft.p.x, from);
    draft.Put(&draft.p.y, Of(port.tensor));
    draft.p.elements = tensor.elements;
    AddThreads(KernelId::take_input_f32, KernelId::take_input_f16, draft, tensor.elements);
  }
  return Status::Ok();
}

Status Lowering::PlaceOutputs() {
  for (uint32_t port = 0; port < plan_.outputs.size(); ++port) {
    const PlanTensor& tensor = plan_.tensors[plan_.outputs[port].tensor];
    if (tensor.type != PlanType::kFloat32)
      return Status::Error("ENGINE_UNAVAILABLE", "output %.80s is not float32", plan_.outputs[port].name.c_str());
    program_.outputs.push_back({plan_.outputs[port].tensor, program_.output_bytes, tensor.bytes});
    program_.output_bytes = AlignUp(program_.output_bytes + tensor.bytes);
    writers_.push_back(FindWriter(port));
  }
  return Status::Ok();
}

// The result whose kernel can write this output to the host's memory. Tensors are compared by their bytes, because one
// may be a view of another, as after a reshape.
Lowering::Result Lowering::FindWriter(uint32_t port) const {
  const PlanTensor& tensor = plan_.tensors[plan_.outputs[port].tensor];
  for (uint32_t other = 0; other < plan_.outputs.size(); ++other) {
    if (other != port && Overlap(plan_.tensors[plan_.outputs[other].tensor], tensor)) return {};
  }
  for (auto at = static_cast<uint32_t>(plan_.steps.size()); at-- > 0;) {
    const PlanStep& step = plan_.steps[at];
    for (uint32_t i = 0; i < step.outputs.size(); ++i) {
      const PlanTensor* result = TensorOf(step.outputs[i]);
      if (!result || !Overlap(*result, tensor)) continue;
      const bool is_all = result->offset == tensor.offset && result->bytes == tensor.bytes;
      // A second result may be computed from the first: a mean, for example.
      const bool is_last = i + 1 == step.outputs.size() || step.outputs[i + 1] == kAbsent;
      return is_all && is_last && !IsMovement(step.kind) ? Result{at, i} : Result();
    }
    for (uint32_t input : step.inputs)
      if (input != kAbsent && Overlap(plan_.tensors[input], tensor)) return {};
  }
  return {};
}

Place Lowering::ResultOf(const PlanStep& step, size_t i) {
  for (size_t port = 0; port < writers_.size(); ++port) {
    if (writers_[port].step != step_ || writers_[port].index != i) continue;
    const Port& to = program_.outputs[port];
    return {kOutput, to.offset, plan_.tensors[to.tensor].elements, kFloatBytes};
  }
  return Of(step.outputs, i);
}

void Lowering::GiveOutputs() {
  for (size_t port = 0; port < writers_.size(); ++port) {
    if (writers_[port].step != kAbsent) continue;
    const Port& to = program_.outputs[port];
    Draft<ConvertParams> draft;
    draft.Put(&draft.p.x, Of(to.tensor));
    draft.p.elements = plan_.tensors[to.tensor].elements;
    draft.Put(&draft.p.y, {kOutput, to.offset, draft.p.elements, kFloatBytes});
    AddThreads(KernelId::give_output_f32, KernelId::give_output_f16, draft, draft.p.elements);
  }
}

}  // namespace cuda
}  // namespace gapcam
