// Every kernel in every generation's code path, emulated, against the definition in double precision, over odd shapes
// from a seeded generator. Memory is poisoned with NaN, each access is checked, and blocks in reverse order must give
// the same bits.
#include <cmath>
#include <cstring>
#include <limits>

#include "../../cuda/half.h"
#include "../cases.h"
#include "../check.h"
#include "machine.h"

namespace gapcam_test {
namespace {

using namespace gapcam::cuda;
using gapcam::StepKind;

// The kernels that ran, by KernelId, and the number of kinds of steps that were drawn.
bool has_run[256];
int kinds_drawn;

constexpr int kCasesPerKind = 60, kCasesOfConv = 150;

// Rounds the values of a case to half precision, so that both sides compute with the same values.
void RoundToHalf(Case* c) {
  for (Operand& operand : c->inputs) {
    const bool is_table = c->kind == StepKind::kResample && operand.is_constant;  // tables stay float
    for (float& value : operand.values)
      if (!is_table) value = HalfToFloat(FloatToHalf(value));
  }
}

// Sums are single precision in any case, and an output leaves without rounding. In half precision, values on the device
// are rounded once: a result that is converted after all steps, the tensors between the parts of a chain, and the
// results from which a mean is computed.
bool IsNear(const Case& c, size_t output, bool is_half, bool is_converted, double got, double want, double magnitude) {
  if (std::isnan(want)) return std::isnan(got);
  const bool is_rounded = is_half && is_converted;
  const double limit = is_rounded ? 65504 : std::numeric_limits<float>::max();
  if (std::fabs(want) > limit * 1.0002) return std::isinf(got) && std::signbit(got) == std::signbit(want);
  if (std::fabs(want) > limit * 0.9998) return true;
  const double rounding = 1.0 / 2048;
  const double of_terms = !is_half ? 4e-6 : c.kind == StepKind::kChain ? 2.5 * rounding : output == 1 ? rounding : 4e-6;
  return std::fabs(got - want) <=
         of_terms * (magnitude + std::fabs(want)) + 1e-6 + (is_rounded ? rounding * std::fabs(want) : 0);
}

void Compare(const Case& c, const NamedGeneration& g, const std::vector<Answer>& answers, Machine& machine) {
  size_t port = 0;
  for (size_t o = 0; o < c.outputs.size(); ++o) {
    if (!c.outputs[o].present()) continue;
    const bool is_half = g.generation.precision == Precision::kFloat16,
               is_converted = IsConverted(machine.program(), port);
    const float* got = machine.output(port++);
    for (size_t i = 0; i < answers[o].values.size(); ++i) {
      if (IsNear(c, o, is_half, is_converted, got[i], answers[o].values[i], answers[o].magnitudes[i])) continue;
      return Fail(__FILE__, __LINE__, "%s: output %zu, element %zu is %.9g, not %.9g: %s", g.name, o, i, got[i],
                  answers[o].values[i], c.Describe().c_str());
    }
  }
}

void CheckCase(Case c, const NamedGeneration& g, bool is_reversed_too) {
  if (g.generation.precision == Precision::kFloat16) RoundToHalf(&c);
  std::vector<uint32_t> inputs, outputs;
  const std::vector<uint8_t> bytes = BuildPlan(c, &inputs, &outputs).Build();
  gapcam::Plan plan;
  Program program;
  gapcam::Status status = gapcam::ReadPlan(bytes.data(), bytes.size(), &plan);
  if (status.ok()) status = BuildProgram(plan, g.generation, &program);
  if (!status.ok()) return Fail(__FILE__, __LINE__, "%s: %s: %s", g.name, status.message(), c.Describe().c_str());
  for (const Launch& launch : program.launches) has_run[static_cast<uint32_t>(launch.kernel)] = true;
  Machine machine(program);
  size_t port = 0;
  for (const Operand& operand : c.inputs) {
    if (operand.present() && !operand.is_constant)
      std::memcpy(machine.input(port++), operand.values.data(), operand.values.size() * 4);
  }
  status = machine.Run();
  if (!status.ok()) return Fail(__FILE__, __LINE__, "%s: %s: %s", g.name, status.message(), c.Describe().c_str());
  Compare(c, g, Solve(c), machine);
  if (!is_reversed_too) return;
  std::vector<float> first;
  for (size_t o = 0; o < program.outputs.size(); ++o)
    first.insert(first.end(), machine.output(o), machine.output(o) + program.outputs[o].bytes / 4);
  emulator::ReverseBlocks(true);
  status = machine.Run();
  emulator::ReverseBlocks(false);
  size_t at = 0;
  for (size_t o = 0; o < program.outputs.size(); at += program.outputs[o++].bytes / 4) {
    EXPECT(status.ok() && std::memcmp(machine.output(o), first.data() + at, program.outputs[o].bytes) == 0,
           "%s: blocks in reverse order give other bits: %s", g.name, c.Describe().c_str());
  }
}

void CheckKind(StepKind kind) {
  ++kinds_drawn;
  for (const NamedGeneration& g : kGenerations) {
    Random random(101 + static_cast<uint64_t>(kind));
    const int cases = kind == StepKind::kConv2d ? kCasesOfConv : kCasesPerKind;
    for (int i = 0; i < cases; ++i) CheckCase(DrawCase(kind, random), g, i % 8 == 0);
  }
}

}  // namespace

TEST("CUDA: conv2d follows its definition") { CheckKind(StepKind::kConv2d); }
TEST("CUDA: dense follows its definition") { CheckKind(StepKind::kDense); }
TEST("CUDA: pool2d follows its definition") { CheckKind(StepKind::kPool2d); }
TEST("CUDA: reduce follows its definition") { CheckKind(StepKind::kReduce); }
TEST("CUDA: elementwise follows its definition") { CheckKind(StepKind::kElementwise); }
TEST("CUDA: binary follows its definition, with broadcasting") { CheckKind(StepKind::kBinary); }
TEST("CUDA: softmax follows its definition") { CheckKind(StepKind::kSoftmax); }
TEST("CUDA: lpNormalization follows its definition") { CheckKind(StepKind::kLpNormalization); }
TEST("CUDA: lrn follows its definition") { CheckKind(StepKind::kLrn); }
TEST("CUDA: copy follows its definition") { CheckKind(StepKind::kCopy); }
TEST("CUDA: concat follows its definition") { CheckKind(StepKind::kConcat); }
TEST("CUDA: resample follows its definition") { CheckKind(StepKind::kResample); }
TEST("CUDA: chain follows its definition") { CheckKind(StepKind::kChain); }
TEST("CUDA: product follows its definition") { CheckKind(StepKind::kProduct); }

// A depth of 297 is split in two. The groups of the cases above are less deep.
TEST("CUDA: a grouped conv2d with a split depth follows its definition") {
  constexpr uint32_t kGroups = 3, kGroupChannels = 33, kGroupFeatures = 5, kHeight = 3, kWidth = 7;
  for (const uint32_t batch : {1u, 2u}) {
    Random random(7);
    const auto draw = [&](const PlanBuilder::Shape& shape, bool is_constant) {
      return Operand{shape, random.Floats(ElementsOf(shape)), {}, is_constant};
    };
    const PlanBuilder::Shape out = {batch, kHeight, kWidth, kGroups * kGroupFeatures};
    Case c = {StepKind::kConv2d, {}, {}, {}};
    c.Set(gapcam::Conv2dParams{3, 3, 1, 1, 1, 1, 1, 1, 1, 1, kGroups, gapcam::Elementwise::kRelu, 0, 0});
    c.inputs = {draw({batch, kHeight, kWidth, kGroups * kGroupChannels}, false),
                draw({kGroups * kGroupFeatures, kGroupChannels, 3, 3}, true), draw({kGroups * kGroupFeatures}, true),
                draw(out, false)};
    c.outputs = {Operand{out, {}, {}, false}, Operand{{batch, 1, 1, kGroups * kGroupFeatures}, {}, {}, false}};
    for (const NamedGeneration& g : kGenerations) CheckCase(c, g, true);
  }
}

TEST("CUDA: the cases above ran every kernel") {
  constexpr int kWithoutKernel = 1;  // the product
  if (kinds_drawn < static_cast<int>(kFloatKindCount) - kWithoutKernel) return Skip("not every kind was drawn");
  for (uint32_t id = 0; id < kKernelCount; ++id) {
    const bool is_of_frames = std::strncmp(kKernels[id].name, "pixels_", 7) == 0;  // frame_test.cc
    EXPECT(has_run[id] || is_of_frames, "%s did not run", kKernels[id].name);
  }
}

}  // namespace gapcam_test
