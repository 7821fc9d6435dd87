#include "case_run.h"

#include <cstring>

namespace gapcam_test {

using gapcam::PlanType;

CaseRun::CaseRun(const Case& c, const gapcam::Target& target, uint32_t threads) : case_(c) {
  const std::vector<uint8_t> plan = BuildPlan(c, &inputs_, &outputs_).Build();
  status_ = gapcam::Executor::Open(plan.data(), plan.size(), target, threads, &executor_);
}

void CaseRun::Compute() {
  before_.assign(arena_bytes(), 0xff);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Operand& operand = case_.inputs[i];
    if (!operand.present() || operand.is_constant) continue;
    uint8_t* to = before_.data() + executor_->plan().tensors[inputs_[i]].offset;
    if (operand.type == PlanType::kFloat32)
      std::memcpy(to, operand.values.data(), operand.values.size() * sizeof(float));
    else
      for (int32_t value : operand.integers) *to++ = static_cast<uint8_t>(value);
  }
  std::memcpy(arena(), before_.data(), before_.size());
  executor_->Run();
}

double CaseRun::Element(size_t i, size_t at) const {
  const void* data = executor_->data(outputs_[i]);
  switch (case_.outputs[i].type) {
    case PlanType::kInt8: return static_cast<const int8_t*>(data)[at];
    case PlanType::kUint8: return static_cast<const uint8_t*>(data)[at];
    default: return static_cast<const float*>(data)[at];
  }
}

uint8_t* CaseRun::arena() const {
  const auto& tensors = executor_->plan().tensors;
  for (uint32_t id = 0; id < tensors.size(); ++id) {
    if (!tensors[id].is_constant) return static_cast<uint8_t*>(executor_->data(id)) - tensors[id].offset;
  }
  return nullptr;
}

int64_t CaseRun::FirstStrayWrite() const {
  std::vector<bool> may_change(before_.size(), false);
  for (uint32_t id : outputs_) {
    if (id == gapcam::kAbsent) continue;
    const auto& tensor = executor_->plan().tensors[id];
    for (uint64_t i = 0; i < tensor.bytes; ++i) may_change[tensor.offset + i] = true;
  }
  for (size_t i = 0; i < before_.size(); ++i) {
    if (!may_change[i] && before_[i] != arena()[i]) return static_cast<int64_t>(i);
  }
  return -1;
}

}  // namespace gapcam_test
