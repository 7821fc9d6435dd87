// Cases for kernels: one step with its tensors and values, drawn from a seeded generator that prefers odd sizes,
// borders and optional tensors; the naive answer to a case; and the plan with which a target computes it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "../plan/plan.h"
#include "plan_builder.h"
#include "random.h"

namespace gapcam_test {

// How many of `count` random cases this build computes: all, or under a sanitizer, where each costs many times as much,
// the first of them.
constexpr int SampleOf(int count) {
#if defined(__SANITIZE_THREAD__)
  return count / 8;
#elif defined(__SANITIZE_ADDRESS__)
  return count / 3;
#else
  return count;
#endif
}

// A tensor of a case. An absent optional tensor has an empty shape.
struct Operand {
  PlanBuilder::Shape shape;
  std::vector<float> values;      // of a float32 input
  std::vector<int32_t> integers;  // of an input of another type
  bool is_constant = false;
  gapcam::PlanType type = gapcam::PlanType::kFloat32;
  float scale = 1;  // of bytes, like the zero point
  int32_t zero_point = 0;

  bool present() const { return !shape.empty(); }
};

// One step.
struct Case {
  gapcam::StepKind kind;
  std::vector<uint32_t> params;  // words of the kind's parameter block
  std::vector<Operand> inputs, outputs;
  bool is_in_place = false;  // the first output is the memory of the first input

  // The parameters as the struct of the kind.
  template <typename Params>
  const Params& As() const {
    return *reinterpret_cast<const Params*>(params.data());
  }
  template <typename Params>
  void Set(const Params& p) {
    params.resize(sizeof(Params) / 4);
    std::memcpy(params.data(), &p, sizeof(Params));
  }

  // The kind, shapes and parameters as text, to find a failing case again.
  std::string Describe() const;
};

// The kinds that compute on float32 come first.
constexpr uint32_t kFloatKindCount = static_cast<uint32_t>(gapcam::StepKind::kQuantize);

// The kinds that every target computes come before cast, which only half precision needs.
constexpr uint32_t kCommonKindCount = static_cast<uint32_t>(gapcam::StepKind::kCast);

// A random case of a kind that moves or compares elements (copy, concat, resample, pool2d, reduce), over bytes.
Case DrawMovedBytes(gapcam::StepKind kind, Random& random);

// A random case of a kind. The same generator state gives the same case on every machine.
Case DrawCase(gapcam::StepKind kind, Random& random);

// An output in double precision, and for each element the sum of the magnitudes of its terms. Rounding errors are
// proportional to the magnitudes.
struct Answer {
  std::vector<double> values, magnitudes;
};

// The outputs of a step by its definition in src/model/steps.ts. conv2d and chain also return a pooled answer if the
// case has none.
std::vector<Answer> Solve(const Case& c);

// The outputs of a step on bytes, exactly as every target must compute them.
std::vector<Answer> SolveQuantized(const Case& c);

// One element-wise function in double precision.
double Apply(gapcam::Elementwise op, double a, double b, double x);

// A plan of one step. `inputs` and `outputs` receive the indices of its tensors, or kAbsent.
PlanBuilder BuildPlan(const Case& c, std::vector<uint32_t>* inputs, std::vector<uint32_t>* outputs);

}  // namespace gapcam_test
