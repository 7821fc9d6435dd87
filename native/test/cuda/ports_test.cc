// The outputs of a program: the kernel that computes an output writes it without rounding, or it is converted after all
// steps if the device reads it too. Against the scalar executor, in every generation, with odd sizes and memory that
// begins as NaN.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "../../cuda/half.h"
#include "../../plan/executor.h"
#include "../check.h"
#include "../plan_builder.h"
#include "../random.h"
#include "machine.h"

namespace gapcam_test {
namespace {

using namespace gapcam::cuda;
using gapcam::Elementwise;
using gapcam::StepKind;

constexpr uint32_t kRows = 1, kDepth = 37, kFeatures = 13;
constexpr gapcam::DenseParams kDense = {1, Elementwise::kNone, 0, 0};
constexpr gapcam::SoftmaxParams kSoftmax = {0, kRows, kFeatures, 1};
constexpr gapcam::ElementwiseParams kRelu = {Elementwise::kRelu, 0, 0};

// Values that half precision represents exactly, so that only results are rounded.
std::vector<float> HalfFloats(Random& random, size_t count, float scale) {
  std::vector<float> values = random.Floats(count, scale);
  for (float& value : values) value = HalfToFloat(FloatToHalf(value));
  return values;
}

// A dense layer. Each test adds its own steps and outputs.
struct DensePlan {
  Random random{23};
  PlanBuilder builder;
  uint32_t x = builder.Arena({kRows, kDepth}), logits = builder.Arena({kRows, kFeatures});

  explicit DensePlan(float scale = 0.5f) {
    builder.Input(x);
    builder.Step(StepKind::kDense,
                 {x, builder.Constant({kFeatures, kDepth}, HalfFloats(random, kFeatures * kDepth, scale))}, {logits},
                 kDense);
  }
};

// Runs a plan with one input in every generation. `is_converted` says for each output whether it must be converted
// after all steps. In half precision the difference may be `half_limit` of the output's range.
void CheckPlan(const PlanBuilder& builder, const std::vector<bool>& is_converted, float half_limit = 1e-3f) {
  const std::vector<uint8_t> bytes = builder.Build();
  const char* reason = "";
  std::unique_ptr<gapcam::Executor> right;
  gapcam::Plan plan;
  gapcam::Status status =
      gapcam::Executor::Open(bytes.data(), bytes.size(), *gapcam::ChooseTarget("scalar", &reason), 1, &right);
  if (status.ok()) status = gapcam::ReadPlan(bytes.data(), bytes.size(), &plan);
  if (!status.ok()) return Fail(__FILE__, __LINE__, "%s", status.message());
  Random random(29);
  const uint32_t input = plan.inputs[0].tensor;
  const std::vector<float> picture = HalfFloats(random, plan.tensors[input].elements, 1);
  std::memcpy(right->data(input), picture.data(), picture.size() * 4);
  right->Run();
  for (const NamedGeneration& g : kGenerations) {
    Program program;
    status = BuildProgram(plan, g.generation, &program);
    if (!status.ok()) return Fail(__FILE__, __LINE__, "%s: %s", g.name, status.message());
    Machine machine(program);
    std::memcpy(machine.input(0), picture.data(), picture.size() * 4);
    status = machine.Run();
    if (!status.ok()) return Fail(__FILE__, __LINE__, "%s: %s", g.name, status.message());
    for (size_t port = 0; port < program.outputs.size(); ++port) {
      EXPECT(IsConverted(program, port) == is_converted[port], "%s: output %zu is %sconverted", g.name, port,
             is_converted[port] ? "not " : "");
      const auto* want = static_cast<const float*>(right->data(program.outputs[port].tensor));
      const float* got = machine.output(port);
      const size_t count = program.outputs[port].bytes / 4;
      const auto [least, most] = std::minmax_element(want, want + count);
      const float limit = (g.generation.precision == Precision::kFloat16 ? half_limit : 1e-5f) * (*most - *least);
      for (size_t i = 0; i < count; ++i)
        EXPECT(std::fabs(got[i] - want[i]) <= limit, "%s: output %zu, element %zu is %.9g, not %.9g", g.name, port, i,
               got[i], want[i]);
    }
  }
}

TEST("CUDA refuses a plan of bytes with a sentence, also where the step itself has a kernel for floats") {
  constexpr Elements kBytes = {gapcam::PlanType::kUint8, 0.5f, 3};
  PlanBuilder quantized;
  const uint32_t x = quantized.Arena({4}), bytes = quantized.Arena({4}, kBytes), y = quantized.Arena({4});
  quantized.Input(x);
  quantized.Output(y);
  quantized.StepWords(StepKind::kQuantize, {x}, {bytes}, {});
  quantized.StepWords(StepKind::kDequantize, {bytes}, {y}, {});
  PlanBuilder moved;
  const uint32_t from = moved.Arena({4}, kBytes), to = moved.Arena({4}, kBytes);
  moved.Step(StepKind::kConcat, {from}, {to}, gapcam::ConcatParams{1, 1});
  for (const PlanBuilder* builder : {&quantized, &moved}) {
    const std::vector<uint8_t> buffer = builder->Build();
    gapcam::Plan plan;
    gapcam::Status status = gapcam::ReadPlan(buffer.data(), buffer.size(), &plan);
    if (!status.ok()) return Fail(__FILE__, __LINE__, "%s", status.message());
    Program program;
    status = BuildProgram(plan, kGenerations[0].generation, &program);
    EXPECT(!status.ok() && std::strstr(status.message(), "8-bit integers"), "accepted, or refused with \"%s\"",
           status.ok() ? "" : status.message());
    EXPECT(status.ok() || std::strcmp(status.code(), "ENGINE_UNAVAILABLE") == 0, "code %s", status.code());
  }
}

TEST("CUDA outputs: logits are not rounded, in half precision too") {
  DensePlan plan;
  plan.builder.Output(plan.logits);
  CheckPlan(plan.builder, {false}, 1e-6f);
}

TEST("CUDA outputs: a value above the range of half precision stays finite") {
  DensePlan plan(30000);
  plan.builder.Output(plan.logits);
  CheckPlan(plan.builder, {false}, 1e-6f);
}

TEST("CUDA outputs: an output that a later step reads is converted") {
  DensePlan plan;
  const uint32_t scores = plan.builder.Arena({kRows, kFeatures});
  plan.builder.Step(StepKind::kSoftmax, {plan.logits}, {scores}, kSoftmax);
  plan.builder.Output(plan.logits);
  plan.builder.Output(scores);
  CheckPlan(plan.builder, {true, false});
}

TEST("CUDA outputs: an output that a later step reads in another shape is converted") {
  DensePlan plan;
  const uint32_t view = plan.builder.Over(plan.logits, {1, 1, 1, kFeatures}),
                 scores = plan.builder.Arena({1, 1, 1, kFeatures});
  plan.builder.Step(StepKind::kSoftmax, {view}, {scores}, kSoftmax);
  plan.builder.Output(plan.logits);
  plan.builder.Output(scores);
  CheckPlan(plan.builder, {true, false});
}

TEST("CUDA outputs: a view of a whole result is written by the kernel that computes it") {
  DensePlan plan;
  plan.builder.Output(plan.builder.Over(plan.logits, {kFeatures, 1, 1, 1}));
  CheckPlan(plan.builder, {false}, 1e-6f);
}

TEST("CUDA outputs: a part of a result is converted") {
  DensePlan plan;
  plan.builder.Output(plan.builder.Over(plan.logits, {kFeatures / 2}));
  CheckPlan(plan.builder, {true});
}

TEST("CUDA outputs: two outputs of the same bytes are converted") {
  DensePlan plan;
  plan.builder.Output(plan.logits);
  plan.builder.Output(plan.builder.Over(plan.logits, {kFeatures}));
  CheckPlan(plan.builder, {true, true});
}

TEST("CUDA outputs: the last of several steps in place writes the output") {
  DensePlan plan;
  const uint32_t positive = plan.builder.Over(plan.logits, {kRows, kFeatures});
  plan.builder.Step(StepKind::kElementwise, {plan.logits}, {positive}, kRelu);
  plan.builder.Output(positive);
  CheckPlan(plan.builder, {false});
}

TEST("CUDA outputs: a result with a mean is converted, and the mean is not") {
  for (const uint32_t side : {5u, 11u}) {  // one tile of pixels, and several
    Random random(31);
    PlanBuilder builder;
    const uint32_t x = builder.Arena({1, side, side, 7}), y = builder.Arena({1, side, side, 19}),
                   mean = builder.Arena({1, 1, 1, 19});
    gapcam::Conv2dParams p = {};
    p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
    builder.Input(x);
    builder.Step(StepKind::kConv2d,
                 {x, builder.Constant({19, 7, 1, 1}, HalfFloats(random, 19 * 7, 1)), gapcam::kAbsent, gapcam::kAbsent},
                 {y, mean}, p);
    builder.Output(y);
    builder.Output(mean);
    CheckPlan(builder, {true, false});
  }
}

TEST("CUDA outputs: the result of a copy, and an input that is also an output, are converted") {
  DensePlan plan;
  const uint32_t reversed = plan.builder.Arena({kRows, kFeatures});
  plan.builder.Step(
      StepKind::kCopy, {plan.logits}, {reversed},
      gapcam::CopyParams{{1, 1, 1, 1, kFeatures}, {0, 0, 0, 0, -1}, {0, 0, 0, 0, 1}, kFeatures - 1, 0, 0, 0});
  plan.builder.Output(reversed);
  plan.builder.Output(plan.x);
  CheckPlan(plan.builder, {true, true});
}

}  // namespace
}  // namespace gapcam_test
