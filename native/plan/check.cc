// Checks that hold for every kind of step: which tensors are present, their element types, and memory that is written
// while it is still read.
#include <cstdarg>
#include <cstdio>

#include "step_check.h"

namespace gapcam {

Status StepCheck::Refuse(const char* format, ...) const {
  char why[120];
  va_list args;
  va_start(args, format);
  std::vsnprintf(why, sizeof(why), format, args);
  va_end(args);
  return Status::Error("MODEL_INVALID", "step %.80s (%s) %s", step_.name.c_str(), step_.shape().name, why);
}

Status StepCheck::Check() const {
  Status status = CheckPresence();
  if (status.ok()) status = CheckKind();
  if (status.ok()) status = CheckHalves();
  return status.ok() ? CheckOverlap() : status;
}

// A cast changes the precision. In other kinds every operand and result of a step on float16 is float16, but the mean.
Status StepCheck::CheckHalves() const {
  const auto is_half = [](const PlanTensor* t) { return t && t->type == PlanType::kFloat16; };
  const bool has_half = is_half(Input(0));
  if (step_.kind == StepKind::kCast)
    return has_half != is_half(Output(0)) ? Status::Ok() : Refuse("does not change the precision");
  for (uint32_t i = 1; i < step_.inputs.size(); ++i)
    if (Input(i) && step_.shape().Input(i).use == TensorUse::kValue && is_half(Input(i)) != has_half)
      return Refuse("has operands of different precision");
  const bool mixes = Output(0) && is_half(Output(0)) != has_half;
  return mixes ? Refuse("has a result of another precision than its operands") : Status::Ok();
}

// Required tensors are present, types are among those of the step table, and constants are constants of the plan.
Status StepCheck::CheckPresence() const {
  const StepShape& shape = step_.shape();
  Status status;
  for (uint32_t i = 0; status.ok() && i < step_.inputs.size(); ++i) status = CheckTensor(Input(i), shape.Input(i));
  bool has_output = false;
  for (uint32_t i = 0; status.ok() && i < step_.outputs.size(); ++i) {
    status = CheckTensor(Output(i), shape.Output(i));
    has_output = has_output || Output(i);
  }
  return status.ok() && !has_output ? Refuse("has no output") : status;
}

Status StepCheck::CheckTensor(const PlanTensor* tensor, const StepTensor& row) const {
  if (!tensor) return row.is_optional ? Status::Ok() : Refuse("lacks its tensor %s", row.name);
  if (!row.Accepts(tensor->type)) return Refuse("cannot use tensor %s with its element type", row.name);
  return row.use == TensorUse::kValue || tensor->is_constant ? Status::Ok()
                                                             : Refuse("needs a constant as its tensor %s", row.name);
}

Status StepCheck::CheckKind() const {
  switch (step_.kind) {
    case StepKind::kConv2d: return CheckConv(step_.As<Conv2dParams>(), Input(3));
    case StepKind::kDense: return CheckDense(step_.As<DenseParams>().transposed, Input(3));
    case StepKind::kPool2d: return CheckPool2d();
    case StepKind::kReduce: return CheckReduce();
    case StepKind::kElementwise: return CheckElementwise();
    case StepKind::kBinary: return CheckBinary();
    case StepKind::kSoftmax: {
      const auto& p = step_.As<SoftmaxParams>();
      return CheckSpan(p.outer, p.length, p.inner, p.length);
    }
    case StepKind::kLpNormalization: {
      const auto& p = step_.As<LpNormalizationParams>();
      return CheckSpan(p.outer, p.length, p.inner, p.length);
    }
    case StepKind::kLrn: return CheckLrn();
    case StepKind::kCopy: return CheckCopy();
    case StepKind::kConcat: return CheckConcat();
    case StepKind::kResample: return CheckResample();
    case StepKind::kChain: return CheckFloatChain();
    case StepKind::kProduct: return CheckProduct();
    case StepKind::kQuantize:
    case StepKind::kDequantize: return CheckElementwise();
    case StepKind::kQconv2d: return CheckQconv();
    case StepKind::kQdense: return CheckQdense();
    case StepKind::kQbinary: return CheckQbinary();
    case StepKind::kLookup: return CheckLookup();
    case StepKind::kQpool2d: return CheckQpool();
    case StepKind::kQreduce: return CheckQreduce();
    case StepKind::kQchain: return CheckQchain();
    case StepKind::kCast: return CheckElementwise();
  }
  return Refuse("has an unknown kind");
}

static bool Overlap(const PlanTensor& a, const PlanTensor& b) {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

// Outputs share no byte with inputs or with each other. A kind that may write in place may cover an input exactly.
Status StepCheck::CheckOverlap() const {
  for (uint32_t o = 0; o < step_.outputs.size(); ++o) {
    const PlanTensor* y = Output(o);
    if (!y) continue;
    for (uint32_t i = 0; i < step_.inputs.size(); ++i) {
      const PlanTensor* x = Input(i);
      if (!x || x->is_constant || !Overlap(*x, *y)) continue;
      const bool is_same = x->offset == y->offset && x->elements == y->elements && x->bytes == y->bytes;
      if (!step_.shape().may_write_in_place || !is_same) return Refuse("writes over its input %u", i);
    }
    for (uint32_t other = 0; other < o; ++other) {
      if (Output(other) && Overlap(*Output(other), *y)) return Refuse("writes two outputs to one place");
    }
  }
  return Status::Ok();
}

Status CheckSteps(const Plan& plan) {
  for (const PlanStep& step : plan.steps) {
    Status status = StepCheck(plan, step).Check();
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

}  // namespace gapcam
