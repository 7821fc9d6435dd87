// Kernel ridge regression with the exact errors of leaving groups out (src/teach/ridge.ts has the formulas). Runs on any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gapcam {

struct RidgeProblem {
  const double* products;  // [samples, samples], symmetric
  uint32_t samples;
  const uint32_t* states;  // of each sample, less than state_count
  uint32_t state_count;
  // Samples that are left out together; each sample is in one of them.
  std::vector<std::vector<uint32_t>> groups;
  std::vector<double> lambdas;  // tried one after the other
};

// [samples · states] alpha, [states] intercept, [samples · states] predictions of each sample by the fit without its group,
// and the lambda that was chosen: the last one before the squared left-out errors stop falling.
size_t RidgeResultLength(const RidgeProblem& problem);

void FitRidge(const RidgeProblem& problem, double* result);

}  // namespace gapcam
