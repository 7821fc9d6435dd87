// What the naive solutions of the steps share. They compute each step by its definition in src/model/steps.ts, in
// double precision and without optimization, and share no code with the kernels.
#pragma once
#include <cmath>

#include "cases.h"

namespace gapcam_test {

// An answer of `count` zeros.
inline Answer Zeros(size_t count) { return {std::vector<double>(count, 0), std::vector<double>(count, 0)}; }

// The minimum and maximum of two numbers; a NaN in either propagates, unlike in std::min.
inline double Lower(double x, double bound) { return x > bound || std::isnan(bound) ? bound : x; }
inline double Raise(double x, double bound) { return x < bound || std::isnan(bound) ? bound : x; }

// Applies a step's activation.
template <typename P>
void Activate(const P& p, Answer* answer) {
  for (size_t i = 0; i < answer->values.size(); ++i) {
    answer->values[i] = Apply(p.activation, p.a, p.b, answer->values[i]);
    answer->magnitudes[i] += std::fabs(answer->values[i]);
  }
}

std::vector<Answer> SolveConv(const Case& c);
std::vector<Answer> SolveDense(const Case& c);
std::vector<Answer> SolveProduct(const Case& c);
std::vector<Answer> SolveChain(const Case& c);
std::vector<Answer> SolveCopy(const Case& c);
std::vector<Answer> SolveConcat(const Case& c);
std::vector<Answer> SolveResample(const Case& c);

}  // namespace gapcam_test
