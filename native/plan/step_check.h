// StepCheck: checks one step of a plan against its tensors. check.cc has what holds for every kind, check_windows.cc
// the kinds with a window, check_spans.cc those that work on matrices, lines and elements, check_movement.cc those
// that move elements, and check_quantized.cc what integers need in addition. A step that passes may run without further
// checks.
#pragma once
#include "plan.h"

namespace gapcam {

// The tensors of a chain, of floats or of integers. Absent ones are null.
struct ChainTensors {
  const PlanTensor *weights, *bias, *expand, *expand_bias, *project, *project_bias, *residual;
};

class StepCheck {
 public:
  // Both must outlive the check. The reader has made sure that all indices are in range.
  StepCheck(const Plan& plan, const PlanStep& step) : plan_(plan), step_(step) {}

  // The first thing that is wrong with the step, as MODEL_INVALID, or Ok.
  Status Check() const;

 private:
  // A status that names the step and its kind. The text continues a sentence: "step conv1 (conv2d) has no output".
  __attribute__((format(printf, 2, 3))) Status Refuse(const char* format, ...) const;

  // Input or output i; null if it is absent.
  const PlanTensor* Input(uint32_t i) const { return i < step_.inputs.size() ? At(step_.inputs[i]) : nullptr; }
  const PlanTensor* Output(uint32_t i) const { return i < step_.outputs.size() ? At(step_.outputs[i]) : nullptr; }
  const PlanTensor* At(uint32_t id) const { return id == kAbsent ? nullptr : &plan_.tensors[id]; }

  // Whether a tensor has exactly these four sizes.
  static bool Is(const PlanTensor& t, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return t.rank == 4 && t.dims[0] == a && t.dims[1] == b && t.dims[2] == c && t.dims[3] == d;
  }

  // For every kind.
  Status CheckPresence() const;
  Status CheckTensor(const PlanTensor* tensor, const StepTensor& row) const;
  Status CheckKind() const;
  Status CheckHalves() const;
  Status CheckOverlap() const;

  // By kind; each relies on CheckPresence.
  Status CheckFloatChain() const;
  Status CheckPool2d() const;
  Status CheckReduce() const;
  Status CheckProduct() const;
  Status CheckElementwise() const;
  Status CheckBinary() const;
  Status CheckLrn() const;
  Status CheckSpan(uint32_t outer, uint32_t length, uint32_t inner, uint32_t out_length) const;
  Status CheckCopy() const;
  Status CheckConcat() const;
  Status CheckResample() const;
  Status CheckQconv() const;
  Status CheckQdense() const;
  Status CheckQbinary() const;
  Status CheckLookup() const;
  Status CheckQpool() const;
  Status CheckQreduce() const;
  Status CheckQchain() const;

  // Parts of the checks above that float and integer kinds share. P is the parameter block of either.
  template <typename P>
  Status CheckWindow(const P& p) const;
  template <typename P>
  Status CheckConv(const P& p, const PlanTensor* residual) const;
  template <typename P>
  Status CheckPool(const P& p) const;
  Status CheckDense(bool is_transposed, const PlanTensor* residual) const;
  template <typename P>
  Status CheckChain(const P& p, const ChainTensors& t) const;
  template <typename P>
  Status CheckChainWeights(const P& p, const ChainTensors& t, uint32_t middle) const;

  // Parts of the checks of integers.
  bool IsFloat() const { return Output(0)->type == PlanType::kFloat32; }
  Status CheckOneType() const;
  Status CheckOneScale() const;
  Status CheckRange(int32_t low, int32_t high, int32_t zero_point) const;
  template <typename P>
  Status CheckEnd(const P& p, const PlanTensor* residual) const;
  Status CheckRatio(double numerator, double denominator) const;
  Status CheckSums(const PlanTensor& weights, uint32_t depth, const PlanTensor& scales, uint32_t features,
                   int32_t zero_point) const;
  Status CheckMean(uint64_t count, const PlanTensor& from, const PlanTensor& to) const;

  const Plan& plan_;
  const PlanStep& step_;
};

}  // namespace gapcam
