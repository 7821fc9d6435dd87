// Checks of the steps on matrices, lines and single elements: dense, product, reduce, softmax, lpNormalization, lrn,
// elementwise and binary.
#include "step_check.h"

namespace gapcam {

Status StepCheck::CheckDense(bool is_transposed, const PlanTensor* residual) const {
  const PlanTensor &x = *Input(0), &w = *Input(1), &y = *Output(0);
  if (w.rank != 2 || x.rank < 1) return Refuse("has weights that are not a matrix, or an input without dimensions");
  const uint32_t depth = w.dims[is_transposed ? 1 : 0], columns = w.dims[is_transposed ? 0 : 1];
  if (x.elements % depth != 0 || uint64_t{x.elements / depth} * columns != y.elements)
    return Refuse("has tensors that do not multiply");
  if (x.dims[x.rank - 1] != depth && x.elements != depth) return Refuse("has rows of another length than its weights");
  const PlanTensor* bias = Input(2);
  if (bias && bias->elements != columns) return Refuse("has a bias of a wrong shape");
  return !residual || residual->elements == y.elements ? Status::Ok() : Refuse("has a residual of a wrong shape");
}

Status StepCheck::CheckProduct() const {
  const auto& p = step_.As<ProductParams>();
  for (uint32_t size : {p.batches, p.rows, p.depth, p.columns})
    if (size < 1 || size >= 1u << 31) return Refuse("has a size of %u", size);
  const auto holds = [&p](const PlanTensor& t, uint32_t height, uint32_t width, bool may_be_shared) {
    const uint64_t matrix = uint64_t{height} * width;
    return (matrix < 1u << 31 && matrix * p.batches == t.elements) || (may_be_shared && matrix == t.elements);
  };
  const bool multiplies = holds(*Input(0), p.rows, p.depth, true) && holds(*Input(1), p.depth, p.columns, true) &&
                          holds(*Output(0), p.rows, p.columns, false);
  return multiplies ? Status::Ok() : Refuse("has tensors that do not multiply");
}

// The tensors are [outer,length,inner] and [outer,out_length,inner].
Status StepCheck::CheckSpan(uint32_t outer, uint32_t length, uint32_t inner, uint32_t out_length) const {
  if (outer < 1 || length < 1 || inner < 1) return Refuse("has an empty span");
  // 0, which fits no tensor, where the product would not fit into 64 bits.
  const auto product = [](uint64_t a, uint64_t b, uint64_t c) {
    return a < (1u << 31) && b < (1u << 31) && a * b < (1u << 31) ? a * b * c : 0;
  };
  if (product(outer, length, inner) != Input(0)->elements || product(outer, out_length, inner) != Output(0)->elements)
    return Refuse("has a span of other sizes than its tensors");
  return Status::Ok();
}

Status StepCheck::CheckReduce() const {
  const auto& p = step_.As<ReduceParams>();
  Status status = CheckSpan(p.outer, p.length, p.inner, 1);
  if (!status.ok() || (IsFloat() && Input(0)->type == PlanType::kFloat32)) return status;
  return p.op == Reduce::kMax || p.op == Reduce::kMin ? CheckOneScale()
                                                      : Refuse("reduces bytes by other than a maximum or minimum");
}

Status StepCheck::CheckElementwise() const {
  return Input(0)->elements == Output(0)->elements
             ? Status::Ok()
             : Refuse("has an output with another number of elements than its input");
}

Status StepCheck::CheckBinary() const {
  const PlanTensor& y = *Output(0);
  for (uint32_t operand = 0; operand < 2; ++operand) {
    const PlanTensor& t = *Input(operand);
    if (t.rank > y.rank) return Refuse("has an operand with more dimensions than its result");
    for (uint32_t i = 0; i < t.rank; ++i) {
      const uint32_t size = t.dims[t.rank - 1 - i], target = y.dims[y.rank - 1 - i];
      if (size != 1 && size != target) return Refuse("has an operand that does not broadcast to its result");
    }
  }
  return Status::Ok();
}

Status StepCheck::CheckLrn() const {
  const PlanTensor &x = *Input(0), &y = *Output(0);
  if (x.rank < 1 || x.elements != y.elements) return Refuse("has tensors of a wrong shape");
  return step_.As<LrnParams>().size >= 1 ? Status::Ok() : Refuse("has an empty neighbourhood");
}

}  // namespace gapcam
