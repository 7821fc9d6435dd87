// Checks of the steps on integers: element types, scales and ranges, and sums that stay inside int32. What they share
// with their float kinds is in the other files.
#include <cmath>
#include <cstring>

#include "step_check.h"

namespace gapcam {
namespace {

// A quotient of scales that multiplies bytes. Beyond it, a difference of two products might not be a number.
constexpr double kMostRatio = 1e30;
constexpr uint64_t kSums = uint64_t{1} << 31;

bool IsByte(const PlanTensor& tensor) { return tensor.type == PlanType::kInt8 || tensor.type == PlanType::kUint8; }

// The greatest distance of a byte from a zero point.
uint32_t Reach(PlanType type, int32_t zero_point) {
  const int32_t below = zero_point - LeastByte(type), above = LeastByte(type) + 255 - zero_point;
  return static_cast<uint32_t>(below > above ? below : above);
}

}  // namespace

// All bytes that are read or written at run time have one type.
Status StepCheck::CheckOneType() const {
  for (const auto* list : {&step_.inputs, &step_.outputs}) {
    for (uint32_t i = 0; i < list->size(); ++i) {
      const PlanTensor* tensor = At((*list)[i]);
      const bool is_input = list == &step_.inputs;
      const TensorUse use = is_input ? step_.shape().Input(i).use : TensorUse::kValue;
      if (tensor && use == TensorUse::kValue && IsByte(*tensor) && tensor->type != Output(0)->type)
        return Refuse("has tensors of both int8 and uint8");
    }
  }
  return Status::Ok();
}

// All values that a step moves have one type, and bytes one scale and zero point.
Status StepCheck::CheckOneScale() const {
  const PlanTensor& y = *Output(0);
  for (const auto* list : {&step_.inputs, &step_.outputs}) {
    const size_t count = step_.kind == StepKind::kResample ? 1 : list->size();
    for (size_t i = 0; i < count; ++i) {
      const PlanTensor* tensor = At((*list)[i]);
      if (tensor && (tensor->type != y.type || tensor->scale != y.scale || tensor->zero_point != y.zero_point))
        return Refuse("moves elements between tensors of different type, scale or zero point");
    }
  }
  return Status::Ok();
}

// Of bytes of the type of output 0.
Status StepCheck::CheckRange(int32_t low, int32_t high, int32_t zero_point) const {
  const int32_t least = LeastByte(Output(0)->type), most = least + 255;
  if (low > high || low < least || high > most) return Refuse("has a range of %d to %d", low, high);
  return zero_point >= least && zero_point <= most ? Status::Ok() : Refuse("has a zero point of %d", zero_point);
}

// Of two scales, or of products of scales.
Status StepCheck::CheckRatio(double numerator, double denominator) const {
  return numerator / denominator <= kMostRatio ? Status::Ok()
                                               : Refuse("has scales of a quotient of %g", numerator / denominator);
}

// The range of a result, and the addition of a residual.
template <typename P>
Status StepCheck::CheckEnd(const P& p, const PlanTensor* residual) const {
  const PlanTensor& y = *Output(0);
  Status status = CheckOneType();
  if (status.ok()) status = CheckRange(p.low, p.high, y.zero_point);
  if (!status.ok() || !residual) return status;
  if (!std::isnormal(p.middle_scale) || p.middle_scale < 0)
    return Refuse("has a scale of %g before its residual", static_cast<double>(p.middle_scale));
  if (p.residual_first > 1) return Refuse("has a residual in place %u of its sum", p.residual_first);
  status = CheckRange(p.middle_low, p.middle_high, p.middle_zero);
  if (status.ok()) status = CheckRatio(p.middle_scale, y.scale);
  return status.ok() ? CheckRatio(residual->scale, y.scale) : status;
}

// Sums of `depth` products, and their multipliers. The bias is limited when the plan is opened (bias.h), so only the
// products count. `zero_point` is that of the bytes that meet the weights.
Status StepCheck::CheckSums(const PlanTensor& weights, uint32_t depth, const PlanTensor& scales, uint32_t features,
                            int32_t zero_point) const {
  if (weights.type == PlanType::kInt8 && weights.zero_point != 0) return Refuse("has int8 weights with a zero point");
  if (uint64_t{depth} * Reach(Output(0)->type, zero_point) * Reach(weights.type, weights.zero_point) >= kSums)
    return Refuse("sums %u products, which may not fit into 32 bits", depth);
  if (scales.elements != features) return Refuse("has multipliers of a wrong shape");
  for (uint32_t i = 0; i < features; ++i) {
    float scale;
    std::memcpy(&scale, scales.constant + uint64_t{i} * sizeof(scale), sizeof(scale));
    if (!(scale >= 0) || std::isinf(scale)) return Refuse("has a multiplier of %g", static_cast<double>(scale));
  }
  return Status::Ok();
}

// The mean of `count` bytes.
Status StepCheck::CheckMean(uint64_t count, const PlanTensor& from, const PlanTensor& to) const {
  return count * 255 < kSums ? CheckRatio(from.scale, to.scale)
                             : Refuse("averages so many bytes that their sum may not fit into 32 bits");
}

Status StepCheck::CheckQconv() const {
  const auto& p = step_.As<Qconv2dParams>();
  Status status = CheckConv(p, Input(4));
  if (status.ok()) status = CheckEnd(p, Input(4));
  if (!status.ok()) return status;
  const PlanTensor &w = *Input(1), &y = *Output(0), *pooled = Output(1);
  status = CheckSums(w, w.elements / w.dims[0], *Input(3), w.dims[0], Input(0)->zero_point);
  return status.ok() && pooled ? CheckMean(uint64_t{y.dims[1]} * y.dims[2], y, *pooled) : status;
}

Status StepCheck::CheckQdense() const {
  const auto& p = step_.As<QdenseParams>();
  Status status = CheckDense(p.transposed, Input(4));
  if (status.ok()) status = CheckEnd(p, Input(4));
  if (!status.ok()) return status;
  const PlanTensor& w = *Input(1);
  return CheckSums(w, w.dims[p.transposed ? 1 : 0], *Input(3), w.dims[p.transposed ? 0 : 1], Input(0)->zero_point);
}

Status StepCheck::CheckQbinary() const {
  const auto& p = step_.As<QbinaryParams>();
  const PlanTensor &x = *Input(0), &z = *Input(1), &y = *Output(0);
  Status status = CheckBinary();
  if (status.ok()) status = CheckOneType();
  if (status.ok()) status = CheckRange(p.low, p.high, y.zero_point);
  if (!status.ok()) return status;
  if (p.op == Binary::kMul) {
    // The product is rounded to float32 before the division.
    const double product = static_cast<double>(x.scale) * z.scale;
    status = CheckRatio(product, 1);
    return status.ok() ? CheckRatio(product, y.scale) : status;
  }
  if (p.op != Binary::kAdd) return Refuse("is neither an addition nor a multiplication");
  status = CheckRatio(x.scale, y.scale);
  return status.ok() ? CheckRatio(z.scale, y.scale) : status;
}

Status StepCheck::CheckLookup() const {
  if (Input(1)->elements != 256) return Refuse("has a table of %u bytes instead of 256", Input(1)->elements);
  Status status = CheckOneType();
  return status.ok() ? CheckElementwise() : status;
}

Status StepCheck::CheckQpool() const {
  const auto& p = step_.As<Qpool2dParams>();
  Status status = CheckPool(p);
  if (status.ok()) status = CheckOneType();
  if (status.ok()) status = CheckRange(p.low, p.high, Output(0)->zero_point);
  return status.ok() ? CheckMean(uint64_t{p.kernel_h} * p.kernel_w, *Input(0), *Output(0)) : status;
}

Status StepCheck::CheckQreduce() const {
  const auto& p = step_.As<QreduceParams>();
  Status status = CheckSpan(p.outer, p.length, p.inner, 1);
  if (status.ok()) status = CheckOneType();
  if (status.ok()) status = CheckRange(p.low, p.high, Output(0)->zero_point);
  return status.ok() ? CheckMean(p.length, *Input(0), *Output(0)) : status;
}

Status StepCheck::CheckQchain() const {
  const auto& p = step_.As<QchainParams>();
  const ChainTensors t = {Input(1), Input(2), Input(4), Input(5), Input(7), Input(8), Input(10)};
  if (p.op != WindowOp::kDepthwise) return Refuse("has a window that is not a depthwise convolution");
  Status status = CheckChain(p, t);
  if (status.ok()) status = CheckEnd(p, t.residual);
  if (status.ok() && t.expand) status = CheckRange(p.expand_low, p.expand_high, p.expand_zero);
  if (status.ok() && t.project) status = CheckRange(p.window_low, p.window_high, p.window_zero);
  if (!status.ok()) return status;
  const PlanTensor &x = *Input(0), &y = *Output(0), *pooled = Output(1);
  struct Product {
    const PlanTensor *weights, *scales;
    int32_t zero_point;
  };
  const Product products[] = {{t.expand, Input(6), x.zero_point},
                              {t.weights, Input(3), t.expand ? p.expand_zero : x.zero_point},
                              {t.project, Input(9), p.window_zero}};
  for (const Product& product : products) {
    const PlanTensor* w = product.weights;
    if (!w && !product.scales) continue;
    if (!w || !product.scales) return Refuse("has weights without multipliers, or multipliers without weights");
    status = CheckSums(*w, w->elements / w->dims[0], *product.scales, w->dims[0], product.zero_point);
    if (!status.ok()) return status;
  }
  return pooled ? CheckMean(uint64_t{y.dims[1]} * y.dims[2], y, *pooled) : Status::Ok();
}

}  // namespace gapcam
