// Naive solutions of copy, concat and resample.
#include "naive.h"

namespace gapcam_test {

std::vector<Answer> SolveCopy(const Case& c) {
  const auto& p = c.As<gapcam::CopyParams>();
  Answer y = Zeros(ElementsOf(c.outputs[0].shape));
  for (double& value : y.values) value = p.value;
  int64_t i[5];
  for (i[0] = 0; i[0] < p.size[0]; ++i[0])
    for (i[1] = 0; i[1] < p.size[1]; ++i[1])
      for (i[2] = 0; i[2] < p.size[2]; ++i[2])
        for (i[3] = 0; i[3] < p.size[3]; ++i[3])
          for (i[4] = 0; i[4] < p.size[4]; ++i[4]) {
            int64_t from = p.in_offset, to = p.out_offset;
            for (int axis = 0; axis < 5; ++axis)
              from += i[axis] * p.in_stride[axis], to += i[axis] * p.out_stride[axis];
            y.values.at(static_cast<size_t>(to)) = c.inputs[0].values.at(static_cast<size_t>(from));
          }
  return {y};
}

std::vector<Answer> SolveConcat(const Case& c) {
  const auto& p = c.As<gapcam::ConcatParams>();
  std::vector<Answer> answers(c.outputs.size(), Zeros(0));
  for (uint32_t o = 0; o < p.outer; ++o) {
    std::vector<double> row, dealt;
    for (const Operand& part : c.inputs) {
      const size_t length = part.values.size() / p.outer;
      row.insert(row.end(), part.values.begin() + o * length, part.values.begin() + (o + 1) * length);
    }
    for (size_t j = 0; j < row.size() / p.groups; ++j)
      for (uint32_t i = 0; i < p.groups; ++i) dealt.push_back(row[i * (row.size() / p.groups) + j]);
    size_t at = 0;
    for (size_t i = 0; i < answers.size(); ++i)
      for (uint32_t j = 0; j < c.outputs[i].shape[1]; ++j) answers[i].values.push_back(dealt[at++]);
  }
  for (Answer& answer : answers) answer.magnitudes.assign(answer.values.size(), 0);
  return answers;
}

std::vector<Answer> SolveResample(const Case& c) {
  const auto& p = c.As<gapcam::ResampleParams>();
  Answer y = Zeros(size_t{p.outer} * p.out_length * p.inner);
  for (uint32_t o = 0; o < p.outer; ++o)
    for (uint32_t j = 0; j < p.out_length; ++j)
      for (uint32_t i = 0; i < p.inner; ++i)
        for (uint32_t t = 0; t < p.taps; ++t) {
          const size_t at = (size_t{o} * p.out_length + j) * p.inner + i, tap = size_t{j} * p.taps + t;
          const double term = double{c.inputs[2].values[tap]} *
                              c.inputs[0].values[(o * p.in_length + c.inputs[1].integers[tap]) * p.inner + i];
          y.values[at] += term;
          y.magnitudes[at] += std::fabs(term);
        }
  return {y};
}

}  // namespace gapcam_test
