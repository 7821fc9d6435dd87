// Cases: one step with its tensors and values, drawn from a seeded generator that likes odd sizes, borders and
// optional tensors; the naive answer to each; and the plan that asks a target the same.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "../plan/plan.h"
#include "plan_builder.h"
#include "random.h"

namespace gapcam_test {

// A tensor of a case. An empty shape is an optional tensor that is absent.
struct Operand {
  PlanBuilder::Shape shape;
  std::vector<float> values;     // of an input
  std::vector<int32_t> indices;  // of an int32 constant, instead of values
  bool is_constant = false;

  bool present() const { return !shape.empty(); }
};

struct Case {
  gapcam::StepKind kind;
  std::vector<uint32_t> params;  // words of the kind's parameter block
  std::vector<Operand> inputs, outputs;
  bool is_in_place = false;  // the first output lies over the first input

  template <typename Params>
  const Params& As() const {
    return *reinterpret_cast<const Params*>(params.data());
  }
  template <typename Params>
  void Set(const Params& p) {
    params.resize(sizeof(Params) / 4);
    std::memcpy(params.data(), &p, sizeof(Params));
  }

  // The kind, shapes and parameters, to find a failing case again.
  std::string Describe() const;
};

// A random case of a kind. The same generator state gives the same case on every machine.
Case DrawCase(gapcam::StepKind kind, Random& random);

// The result of a step in double precision by its definition in src/model/steps.ts, and for each element how large
// the terms were that it was summed from: rounding errors are proportional to that.
struct Answer {
  std::vector<double> values, magnitudes;
};
std::vector<Answer> Solve(const Case& c);
std::vector<Answer> SolveChain(const Case& c);

// One element-wise function in double precision.
double Apply(gapcam::Elementwise op, double a, double b, double x);

// A plan of one step. `inputs` and `outputs` receive the tensors' indices (kAbsent for those that are not there).
PlanBuilder BuildPlan(const Case& c, std::vector<uint32_t>* inputs, std::vector<uint32_t>* outputs);

}  // namespace gapcam_test
