// A case as text, to find it again when it fails, and as a plan of one step.
#include "cases.h"

namespace gapcam_test {

std::string Case::Describe() const {
  std::string text = gapcam::kStepShapes[static_cast<uint32_t>(kind)].name;
  for (const auto* list : {&inputs, &outputs}) {
    text += list == &inputs ? " of" : " to";
    for (const Operand& operand : *list) {
      text += " [";
      for (uint32_t size : operand.shape) text += std::to_string(size) + ",";
      text += operand.is_constant ? "]constant" : "]";
    }
  }
  text += is_in_place ? " in place, words" : ", words";
  for (uint32_t word : params) text += " " + std::to_string(static_cast<int32_t>(word));
  return text;
}

PlanBuilder BuildPlan(const Case& c, std::vector<uint32_t>* inputs, std::vector<uint32_t>* outputs) {
  PlanBuilder builder;
  for (const Operand& operand : c.inputs) {
    if (!operand.present())
      inputs->push_back(gapcam::kAbsent);
    else if (!operand.is_constant)
      inputs->push_back(builder.Arena(operand.shape, {operand.type, operand.scale, operand.zero_point}));
    else if (operand.type != gapcam::PlanType::kFloat32)
      inputs->push_back(
          builder.Constant(operand.shape, operand.integers, {operand.type, operand.scale, operand.zero_point}));
    else
      inputs->push_back(builder.Constant(operand.shape, operand.values));
  }
  for (const Operand& operand : c.outputs) {
    if (!operand.present())
      outputs->push_back(gapcam::kAbsent);
    else
      outputs->push_back(
          c.is_in_place && outputs->empty()
              ? builder.Over(inputs->front(), operand.shape, {operand.type, operand.scale, operand.zero_point})
              : builder.Arena(operand.shape, {operand.type, operand.scale, operand.zero_point}));
  }
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].present() && !c.inputs[i].is_constant) builder.Input((*inputs)[i]);
  }
  for (uint32_t tensor : *outputs) {
    if (tensor != gapcam::kAbsent) builder.Output(tensor);
  }
  builder.StepWords(c.kind, *inputs, *outputs, c.params);
  return builder;
}

}  // namespace gapcam_test
