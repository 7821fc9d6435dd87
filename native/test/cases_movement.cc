// Random cases of copy, concat and resample.
#include "draw.h"

namespace gapcam_test {

using gapcam::StepKind;

// A copy that transposes, slices, reverses or expands, into a part of a filled output or into all of it.
Case DrawCopy(Random& random) {
  gapcam::CopyParams p = {};
  PlanBuilder::Shape in(5), loops(5), out(5);
  uint32_t order[5] = {0, 1, 2, 3, 4};
  for (uint32_t i = 4; i > 0; --i) {
    const uint32_t j = random.Between(0, i), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  if (random.Chance(40))
    for (uint32_t i = 0; i < 5; ++i) order[i] = i;
  p.fill = random.Between(0, 1);
  p.value = random.Float();
  for (uint32_t& size : in) size = random.Among({1, 1, 2, 3, 5, 18});
  int64_t in_strides[5], stride = 1;
  for (int i = 4; i >= 0; --i) in_strides[i] = stride, stride *= in[i];
  int64_t in_offset = 0;
  for (uint32_t i = 0; i < 5; ++i) {
    const uint32_t axis = order[i];
    const uint32_t way = random.Between(0, 9);  // 0 expand, 1 backwards, 2-3 every second element, else in order
    const uint32_t step = way == 2 || way == 3 ? 2 : 1, start = random.Chance(70) ? 0 : random.Between(0, in[axis] - 1);
    loops[i] = way == 0 ? random.Between(1, 3) : (in[axis] - start + step - 1) / step;
    p.in_stride[i] = static_cast<int32_t>(way == 0 ? 0 : way == 1 ? -in_strides[axis] : in_strides[axis] * step);
    in_offset += in_strides[axis] * (way == 1 ? start + loops[i] - 1 : start);
    p.size[i] = loops[i];
    out[i] = loops[i] + (p.fill ? random.Between(0, 2) : 0);
  }
  p.in_offset = static_cast<uint32_t>(in_offset);
  stride = 1;
  for (int i = 4; i >= 0; --i) {
    p.out_stride[i] = static_cast<int32_t>(stride);
    p.out_offset += static_cast<uint32_t>(stride) * random.Between(0, out[i] - loops[i]);
    stride *= out[i];
  }
  Case c = {StepKind::kCopy, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, in));
  c.outputs.push_back(Result(out));
  return c;
}

Case DrawConcat(Random& random) {
  const gapcam::ConcatParams p = {random.Between(1, 20), random.Chance(50) ? 1 : random.Between(2, 4)};
  Case c = {StepKind::kConcat, {}, {}, {}};
  c.Set(p);
  uint32_t length = 0;
  for (uint32_t i = random.Between(1, 5); i > 0; --i) {
    const uint32_t part = random.Between(1, 40) * p.groups;
    c.inputs.push_back(Draw(random, {p.outer, part}, random.Chance(20)));
    length += part;
  }
  while (length > 0) {
    const uint32_t part = random.Chance(50) ? length : random.Between(1, length);
    c.outputs.push_back(Result({p.outer, part}));
    length -= part;
  }
  return c;
}

Case DrawResample(Random& random) {
  gapcam::ResampleParams p = {random.Between(1, 4), random.Between(1, 12), random.Between(1, 25), random.Between(1, 4),
                              random.Between(1, 40)};
  Case c = {StepKind::kResample, {}, {}, {}};
  c.Set(p);
  Operand indices = {{p.out_length, p.taps}, {}, {}, true, gapcam::PlanType::kInt32};
  for (uint32_t i = 0; i < p.out_length * p.taps; ++i)
    indices.integers.push_back(static_cast<int32_t>(random.Between(0, p.in_length - 1)));
  Operand weights = Draw(random, {p.out_length, p.taps}, true);
  if (p.taps == 1)
    for (float& weight : weights.values) weight = random.Chance(70) ? 1.0f : weight;
  c.inputs = {Draw(random, {p.outer, p.in_length, p.inner}), indices, weights};
  c.outputs.push_back(Result({p.outer, p.out_length, p.inner}));
  return c;
}

}  // namespace gapcam_test
