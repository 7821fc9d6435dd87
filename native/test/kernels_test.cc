// Compares every kernel of every target that this machine supports with the definition in double precision, over seeded
// odd shapes.
#include <cmath>
#include <cstring>
#include <limits>

#include "case_run.h"
#include "check.h"
#include "draw.h"
#include "targets.h"

namespace gapcam_test {
namespace {

using gapcam::Executor;
using gapcam::StepKind;
using gapcam::Target;

constexpr int kCasesPerKind = SampleOf(250), kCasesOfConv = SampleOf(700);
// Relative to the magnitude of an element's terms. A sum of 600 terms in single precision is off by a few 1e-7 of it.
constexpr double kTolerance = 2e-6;

bool IsNear(double got, double want, double magnitude) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::fabs(want) > std::numeric_limits<float>::max())
    return std::isinf(got) && std::signbit(got) == std::signbit(want);
  return std::fabs(got - want) <= kTolerance * (magnitude + std::fabs(want)) + 1e-6;
}

void CompareWithAnswer(const Case& c, const Target& target, const CaseRun& run) {
  const std::vector<Answer> answers = Solve(c);
  for (size_t o = 0; o < c.outputs.size(); ++o) {
    if (!c.outputs[o].present()) continue;
    const Answer& answer = answers[o];
    EXPECT(answer.values.size() == ElementsOf(c.outputs[o].shape), "the naive answer has another size: %s",
           c.Describe().c_str());
    for (size_t i = 0; i < answer.values.size(); ++i) {
      if (IsNear(run.Floats(o)[i], answer.values[i], answer.magnitudes[i])) continue;
      Fail(__FILE__, __LINE__, "%s: output %zu, element %zu is %.9g, not %.9g: %s", target.name, o, i, run.Floats(o)[i],
           answer.values[i], c.Describe().c_str());
      return;
    }
  }
}

void CheckCase(const Case& c, const Target& target) {
  CaseRun one(c, target, 1);
  EXPECT(one.status().ok(), "%s: %s: %s", target.name, one.status().message(), c.Describe().c_str());
  if (!one.status().ok()) return;
  one.Compute();
  CompareWithAnswer(c, target, one);
  EXPECT(one.FirstStrayWrite() < 0, "%s wrote outside its outputs, byte %lld: %s", target.name,
         static_cast<long long>(one.FirstStrayWrite()), c.Describe().c_str());
}

// Compares the bits of one thread with those of three.
void CheckThreads(const Case& c, const Target& target) {
  CaseRun one(c, target, 1), three(c, target, 3);
  if (!one.status().ok() || !three.status().ok())
    return Fail(__FILE__, __LINE__, "%s does not open: %s", target.name, c.Describe().c_str());
  one.Compute();
  three.Compute();
  EXPECT(std::memcmp(one.arena(), three.arena(), one.arena_bytes()) == 0, "%s gives other bits on three threads: %s",
         target.name, c.Describe().c_str());
}

void CheckKind(StepKind kind) {
  ForEachUsableTarget([kind](const Target& target) {
    Random random(1 + static_cast<uint64_t>(kind));
    const int cases = kind == StepKind::kConv2d ? kCasesOfConv : kCasesPerKind;
    for (int i = 0; i < cases; ++i) {
      const Case c = DrawCase(kind, random);
      CheckCase(c, target);
      if (i % 10 == 0) CheckThreads(c, target);
    }
  });
}

// Values at which functions tend to fail: infinities, NaN, both zeros, the ends of the range of exp.
const float kSpecials[] = {0.0f,
                           -0.0f,
                           1.0f,
                           -1.0f,
                           0.5f,
                           -0.5f,
                           0.625f,
                           -0.625f,
                           6.0f,
                           -6.0f,
                           87.9f,
                           -87.9f,
                           88.7f,
                           88.8f,
                           89.5f,
                           -100.0f,
                           100.0f,
                           -3.0f,
                           3.0f,
                           8388607.5f,
                           -8388607.5f,
                           8388609.0f,
                           3e9f,
                           -3e9f,
                           1e30f,
                           -1e30f,
                           1e-30f,
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN()};

}  // namespace

TEST("conv2d follows its definition") { CheckKind(StepKind::kConv2d); }
TEST("dense follows its definition") { CheckKind(StepKind::kDense); }
TEST("pool2d follows its definition") { CheckKind(StepKind::kPool2d); }
TEST("reduce follows its definition") { CheckKind(StepKind::kReduce); }
TEST("elementwise follows its definition") { CheckKind(StepKind::kElementwise); }
TEST("binary follows its definition, with broadcasting") { CheckKind(StepKind::kBinary); }
TEST("softmax follows its definition") { CheckKind(StepKind::kSoftmax); }
TEST("lpNormalization follows its definition") { CheckKind(StepKind::kLpNormalization); }
TEST("lrn follows its definition") { CheckKind(StepKind::kLrn); }
TEST("copy follows its definition") { CheckKind(StepKind::kCopy); }
TEST("concat follows its definition") { CheckKind(StepKind::kConcat); }
TEST("chain follows its definition") { CheckKind(StepKind::kChain); }
TEST("product follows its definition") { CheckKind(StepKind::kProduct); }
TEST("resample follows its definition") { CheckKind(StepKind::kResample); }

TEST("element-wise functions are correct at infinities, NaN, zeros and the ends of their range") {
  ForEachUsableTarget([](const Target& target) {
    for (uint32_t op = 0; op < gapcam::kElementwiseCount; ++op) {
      Case c = {StepKind::kElementwise, {}, {}, {}};
      const bool is_power = static_cast<gapcam::Elementwise>(op) == gapcam::Elementwise::kPower;
      c.Set(gapcam::ElementwiseParams{static_cast<gapcam::Elementwise>(op), is_power ? 3.0f : 0.2f, 0.5f});
      const std::vector<float> values(std::begin(kSpecials), std::end(kSpecials));
      c.inputs.push_back({{static_cast<uint32_t>(values.size())}, values, {}, false});
      c.outputs.push_back({{static_cast<uint32_t>(values.size())}, {}, {}, false});
      CheckCase(c, target);
    }
  });
}

// Winograd's filtering adds and subtracts before it multiplies, so a small sum may come from large terms. Its error
// against double precision must still stay within the tolerance of the other kernels, at channel counts for which it is
// chosen.
TEST("Winograd convolutions are as accurate as direct ones") {
  constexpr struct {
    uint32_t channels, features, height, width;
  } kShapes[] = {{64, 64, 14, 14}, {96, 80, 13, 17}, {32, 130, 20, 9}, {256, 48, 7, 7}, {48, 64, 24, 24}};
  ForEachUsableTarget([&](const Target& target) {
    Random random(3);
    int filtered = 0;
    for (const auto& shape : kShapes) {
      gapcam::Conv2dParams p = {};
      p.kernel_h = p.kernel_w = 3;
      p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
      p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
      Case c = {StepKind::kConv2d, {}, {}, {}};
      c.Set(p);
      const PlanBuilder::Shape sizes[] = {{1, shape.height, shape.width, shape.channels},
                                          {shape.features, shape.channels, 3, 3}};
      for (const PlanBuilder::Shape& size : sizes) {
        std::vector<float> values(ElementsOf(size));
        for (float& value : values) value = random.Float();
        c.inputs.push_back({size, values, {}, &size != sizes});
      }
      c.inputs.resize(4);
      c.outputs = {{{1, shape.height, shape.width, shape.features}, {}, {}, false}, Operand()};
      CaseRun run(c, target, 1);
      if (!run.status().ok()) return Fail(__FILE__, __LINE__, "%s: %s", target.name, run.status().message());
      filtered += std::strstr(run.kernel(), "winograd") != nullptr;
      run.Compute();
      CompareWithAnswer(c, target, run);
    }
    const bool is_plain = std::strcmp(target.name, "scalar") == 0;  // which has only the direct algorithm
    EXPECT(is_plain || filtered >= 3, "%s filters only %d of the shapes", target.name, filtered);
  });
}

// A convolution whose kernel mostly lies over padding has an algorithm of its own. The cases include outputs that no tap
// of the kernel reaches.
TEST("convolutions over padding multiply only what lies in the picture") {
  ForEachUsableTarget([](const Target& target) {
    Random random(11);
    int divided = 0;
    for (int i = 0; i < SampleOf(300); ++i) {
      const Case c = DrawConv(random);
      CaseRun run(c, target, 1);
      if (!run.status().ok() || !std::strstr(run.kernel(), "bands")) continue;
      ++divided;
      CheckCase(c, target);
      CheckThreads(c, target);
    }
    const bool is_plain = std::strcmp(target.name, "scalar") == 0;
    EXPECT(is_plain || divided >= SampleOf(10), "%s divides only %d convolutions into bands", target.name, divided);
  });
}

// A maximum that drops a NaN could turn a broken picture into a plausible label.
TEST("a NaN in the input of a window or a reduction shows in every result that depends on it") {
  ForEachUsableTarget([](const Target& target) {
    Random random(7);
    for (const StepKind kind : {StepKind::kPool2d, StepKind::kReduce, StepKind::kChain}) {
      for (int i = 0; i < kCasesPerKind; ++i) {
        Case c = DrawCase(kind, random);
        std::vector<float>& values = c.inputs[0].values;
        values[random.Between(0, static_cast<uint32_t>(values.size()) - 1)] = std::numeric_limits<float>::quiet_NaN();
        CheckCase(c, target);
      }
    }
  });
}

TEST("values 1 to 48 as three 4 by 4 maps average to 8.5, 24.5, 40.5") {
  ForEachUsableTarget([](const Target& target) {
    Case c = {StepKind::kReduce, {}, {}, {}};
    c.Set(gapcam::ReduceParams{gapcam::Reduce::kMean, 1, 16, 3});
    std::vector<float> values;
    for (int pixel = 0; pixel < 16; ++pixel)
      for (int map = 0; map < 3; ++map) values.push_back(static_cast<float>(map * 16 + pixel + 1));
    c.inputs.push_back({{1, 16, 3}, values, {}, false});
    c.outputs.push_back({{1, 1, 3}, {}, {}, false});
    CaseRun run(c, target, 1);
    run.Compute();
    const float* y = run.Floats(0);
    EXPECT(y[0] == 8.5f && y[1] == 24.5f && y[2] == 40.5f, "%s gives %g, %g, %g", target.name, y[0], y[1], y[2]);
  });
}

}  // namespace gapcam_test
