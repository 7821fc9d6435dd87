// Compares steps in half precision with their definition in double precision, on the target that has them.
#include <cmath>
#include <cstring>
#include <memory>

#include "../plan/executor.h"
#include "cases.h"
#include "check.h"
#include "targets.h"

namespace gapcam_test {
namespace {

using gapcam::Elementwise;
using gapcam::Executor;
using gapcam::kAbsent;
using gapcam::PlanType;
using gapcam::StepKind;
using gapcam::Target;

// Relative to the magnitude of an element's terms: operands, partial sums and results are rounded to 11 bits.
constexpr double kTolerance = 8e-3;
constexpr int kCases = 150;

const Target* HalfTarget() {
  const Target* found = nullptr;
  ForEachUsableTarget([&found](const Target& target) {
    if (std::strcmp(target.name, "neonhalf") == 0) found = &target;
  });
  return found;
}

// One of the activations that half precision has.
Elementwise PlainActivation(Random& random) {
  constexpr Elementwise kPlain[] = {Elementwise::kNone, Elementwise::kRelu, Elementwise::kClip,
                                    Elementwise::kHardSwish};
  return kPlain[random.Between(0, 3)];
}

// A case of a kind, with activations that half precision has.
Case DrawHalfCase(StepKind kind, Random& random) {
  Case c = DrawCase(kind, random);
  if (kind == StepKind::kConv2d) {
    auto p = c.As<gapcam::Conv2dParams>();
    p.activation = PlainActivation(random), p.a = -0.5f, p.b = 2;
    c.Set(p);
  } else if (kind == StepKind::kChain) {
    auto p = c.As<gapcam::ChainParams>();
    if (p.op != gapcam::WindowOp::kMax) p.activation = PlainActivation(random), p.a = 0, p.b = 6;
    p.expand_activation = PlainActivation(random), p.expand_a = -0.5f, p.expand_b = 2;
    p.project_activation = PlainActivation(random), p.project_a = -0.5f, p.project_b = 2;
    c.Set(p);
  }
  return c;
}

// A plan that casts the inputs of a case, computes its step in half precision and casts the first output back.
struct HalfPlan {
  PlanBuilder builder;
  std::vector<uint32_t> singles, results;  // by input and output, or kAbsent

  explicit HalfPlan(const Case& c) {
    std::vector<uint32_t> inputs, outputs;
    const size_t residual = c.kind == StepKind::kChain ? 7 : 3;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      const Operand& operand = c.inputs[i];
      const bool is_value = i == 0 || i == residual;
      singles.push_back(kAbsent);
      inputs.push_back(!operand.present() ? kAbsent
                       : is_value         ? builder.Arena(operand.shape, {PlanType::kFloat16})
                                          : builder.Constant(operand.shape, operand.values));
      if (!operand.present() || !is_value) continue;
      singles.back() = builder.Arena(operand.shape);
      builder.Input(singles.back());
      builder.StepWords(StepKind::kCast, {singles.back()}, {inputs.back()}, {});
    }
    for (size_t o = 0; o < c.outputs.size(); ++o) {
      const Operand& operand = c.outputs[o];
      const bool is_half = o == 0;
      outputs.push_back(operand.present()
                            ? builder.Arena(operand.shape, {is_half ? PlanType::kFloat16 : PlanType::kFloat32})
                            : kAbsent);
    }
    results = outputs;
    builder.StepWords(c.kind, inputs, outputs, c.params);
    if (outputs[0] != kAbsent) {
      results[0] = builder.Arena(c.outputs[0].shape);
      builder.StepWords(StepKind::kCast, {outputs[0]}, {results[0]}, {});
    }
    for (uint32_t result : results)
      if (result != kAbsent) builder.Output(result);
  }
};

// Runs the plan of a case and returns its executor, or null after a failure.
std::unique_ptr<Executor> RunHalf(const Case& c, const HalfPlan& plan, const Target& target, uint32_t threads) {
  std::unique_ptr<Executor> executor;
  const std::vector<uint8_t> bytes = plan.builder.Build();
  const gapcam::Status status = Executor::Open(bytes.data(), bytes.size(), target, threads, &executor);
  EXPECT(status.ok(), "%s: %s", status.message(), c.Describe().c_str());
  if (!status.ok()) return nullptr;
  for (size_t i = 0; i < c.inputs.size(); ++i)
    if (plan.singles[i] != kAbsent)
      std::memcpy(executor->data(plan.singles[i]), c.inputs[i].values.data(),
                  c.inputs[i].values.size() * sizeof(float));
  executor->Run();
  return executor;
}

void CheckHalfCase(const Case& c, const Target& target) {
  const HalfPlan plan(c);
  const auto one = RunHalf(c, plan, target, 1), three = RunHalf(c, plan, target, 3);
  if (!one || !three) return;
  const std::vector<Answer> answers = Solve(c);
  for (size_t o = 0; o < c.outputs.size(); ++o) {
    if (plan.results[o] == kAbsent) continue;
    const auto* got = static_cast<const float*>(one->data(plan.results[o]));
    const Answer& answer = answers[o];
    EXPECT(std::memcmp(got, three->data(plan.results[o]), answer.values.size() * sizeof(float)) == 0,
           "three threads give other bits: %s", c.Describe().c_str());
    for (size_t i = 0; i < answer.values.size(); ++i) {
      const double want = answer.values[i];
      if (std::fabs(got[i] - want) <= kTolerance * (answer.magnitudes[i] + std::fabs(want)) + 2e-3) continue;
      return Fail(__FILE__, __LINE__, "output %zu, element %zu is %.9g, not %.9g (magnitude %.3g): %s", o, i, got[i],
                  want, answer.magnitudes[i], c.Describe().c_str());
    }
  }
}

void CheckHalfKind(StepKind kind) {
  const Target* target = HalfTarget();
  if (!target) return Skip("this machine has no half precision");
  Random random(11 + static_cast<uint64_t>(kind));
  for (int i = 0; i < kCases; ++i) CheckHalfCase(DrawHalfCase(kind, random), *target);
}

}  // namespace

TEST("conv2d in half precision stays within its rounding") { CheckHalfKind(StepKind::kConv2d); }
TEST("chain in half precision stays within its rounding") { CheckHalfKind(StepKind::kChain); }
TEST("pool2d in half precision stays within its rounding") { CheckHalfKind(StepKind::kPool2d); }

TEST("long sums in half precision are added up in single precision") {
  const Target* target = HalfTarget();
  if (!target) return Skip("this machine has no half precision");
  // 4,000 products of 1: half precision alone stops counting in ones at 2,048.
  Case c = {StepKind::kConv2d, {}, {}, {}};
  gapcam::Conv2dParams p = {};
  p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
  c.Set(p);
  c.inputs = {{{1, 1, 3, 4000}, std::vector<float>(12000, 1), {}, false},
              {{5, 4000, 1, 1}, std::vector<float>(20000, 1), {}, true},
              Operand(),
              Operand()};
  c.outputs = {{{1, 1, 3, 5}, {}, {}, false}, Operand()};
  const HalfPlan plan(c);
  const auto executor = RunHalf(c, plan, *target, 1);
  if (!executor) return;
  for (int i = 0; i < 15; ++i) EXPECT(static_cast<const float*>(executor->data(plan.results[0]))[i] == 4000, "%d", i);
}

}  // namespace gapcam_test
