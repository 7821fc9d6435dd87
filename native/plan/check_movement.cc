// Checks of the steps that move elements: copy, concat and resample.
#include <cmath>
#include <cstring>

#include "step_check.h"

namespace gapcam {
namespace {

// Whether the five loops of a copy touch only elements [0, elements) of one tensor.
bool StaysInside(const uint32_t* size, const int32_t* stride, uint32_t offset, uint32_t elements) {
  int64_t low = offset, high = offset;
  for (int i = 0; i < 5; ++i) {
    const int64_t reach = (int64_t{size[i]} - 1) * stride[i];
    (reach < 0 ? low : high) += reach;
    if (low < 0 || high >= elements) return false;
  }
  return true;
}

}  // namespace

Status StepCheck::CheckCopy() const {
  const auto& p = step_.As<CopyParams>();
  uint64_t count = 1;
  for (uint32_t size : p.size) {
    if (size < 1 || size > (1u << 30) || (count *= size) > (1u << 31))
      return Refuse("has a loop that is empty or too large");
  }
  for (int32_t stride : p.out_stride)
    if (stride < 0) return Refuse("writes backwards");
  if (!StaysInside(p.size, p.in_stride, p.in_offset, Input(0)->elements)) return Refuse("reads outside its input");
  if (!StaysInside(p.size, p.out_stride, p.out_offset, Output(0)->elements)) return Refuse("writes outside its output");
  if (count > Output(0)->elements) return Refuse("writes elements of its output more than once");
  if (!p.fill && count != Output(0)->elements) return Refuse("leaves elements of its output unwritten");
  const auto least = static_cast<float>(LeastByte(Output(0)->type));
  const bool is_byte = p.value >= least && p.value <= least + 255 && p.value == std::floor(p.value);
  if (p.fill && !IsFloat() && !is_byte) return Refuse("fills bytes with %g", static_cast<double>(p.value));
  return CheckOneScale();
}

Status StepCheck::CheckConcat() const {
  const uint32_t outer = step_.As<ConcatParams>().outer, groups = step_.As<ConcatParams>().groups;
  uint64_t elements = 0, written = 0;
  for (uint32_t i = 0; i < step_.inputs.size(); ++i) {
    if (outer < 1 || Input(i)->elements % outer != 0)
      return Refuse("has an input that does not divide into %u rows", outer);
    elements += Input(i)->elements;
  }
  for (uint32_t i = 0; i < step_.outputs.size(); ++i) {
    if (Output(i)->elements % outer != 0) return Refuse("has an output that does not divide into %u rows", outer);
    written += Output(i)->elements;
  }
  if (groups < 1 || elements / outer % groups != 0) return Refuse("cannot be shuffled in %u groups", groups);
  return elements == written ? CheckOneScale() : Refuse("has outputs of another size than its inputs");
}

Status StepCheck::CheckResample() const {
  const auto& p = step_.As<ResampleParams>();
  const PlanTensor &x = *Input(0), &indices = *Input(1), &weights = *Input(2), &y = *Output(0);
  const uint64_t limit = uint64_t{1} << 31, outer_inner = uint64_t{p.outer} * p.inner;
  if (!p.outer || !p.inner || !p.taps || !p.in_length || !p.out_length || outer_inner >= limit)
    return Refuse("has an empty span");
  if (outer_inner * p.in_length != x.elements || outer_inner * p.out_length != y.elements)
    return Refuse("has a span of other sizes than its tensors");
  if (uint64_t{p.out_length} * p.taps != indices.elements || indices.elements != weights.elements)
    return Refuse("has tables of a wrong size");
  for (uint32_t i = 0; i < indices.elements; ++i) {
    int32_t index;
    std::memcpy(&index, indices.constant + uint64_t{i} * sizeof(index), sizeof(index));
    if (index < 0 || static_cast<uint32_t>(index) >= p.in_length)
      return Refuse("has an index that picks element %d of %u", index, p.in_length);
  }
  for (uint32_t i = 0; !IsFloat() && i < weights.elements; ++i) {
    float weight;
    std::memcpy(&weight, weights.constant + uint64_t{i} * sizeof(weight), sizeof(weight));
    if (p.taps != 1 || weight != 1.0f) return Refuse("mixes bytes");
  }
  return CheckOneScale();
}

}  // namespace gapcam
