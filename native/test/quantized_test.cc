// Compares the steps on bytes with their definition in integers, bit for bit, on every target that this machine
// supports: random shapes, zero points at both ends, extreme weights, biases near 2^31, residuals and means.
#include <cstring>

#include "case_run.h"
#include "check.h"
#include "targets.h"

namespace gapcam_test {
namespace {

using gapcam::PlanType;
using gapcam::StepKind;
using gapcam::Target;

constexpr int kCasesPerKind = SampleOf(250), kCasesOfConv = SampleOf(500);

void CompareExactly(const Case& c, const std::vector<Answer>& answers, const Target& target, const CaseRun& run) {
  for (size_t o = 0; o < c.outputs.size(); ++o) {
    if (!c.outputs[o].present()) continue;
    EXPECT(answers[o].values.size() == ElementsOf(c.outputs[o].shape), "the naive answer has another size: %s",
           c.Describe().c_str());
    for (size_t i = 0; i < answers[o].values.size(); ++i) {
      if (run.Element(o, i) == answers[o].values[i]) continue;
      Fail(__FILE__, __LINE__, "%s (%s): output %zu, element %zu is %.9g, not %.9g: %s", target.name, run.kernel(), o,
           i, run.Element(o, i), answers[o].values[i], c.Describe().c_str());
      return;
    }
  }
}

// One case on one target with one thread, or with three.
void CheckCase(const Case& c, const std::vector<Answer>& answers, const Target& target, uint32_t threads) {
  CaseRun run(c, target, threads);
  EXPECT(run.status().ok(), "%s: %s: %s", target.name, run.status().message(), c.Describe().c_str());
  if (!run.status().ok()) return;
  run.Compute();
  CompareExactly(c, answers, target, run);
  EXPECT(run.FirstStrayWrite() < 0, "%s wrote outside its outputs, byte %lld: %s", target.name,
         static_cast<long long>(run.FirstStrayWrite()), c.Describe().c_str());
}

void CheckKind(StepKind kind) {
  Random random(1 + static_cast<uint64_t>(kind));
  const int cases = kind == StepKind::kQconv2d ? kCasesOfConv : kCasesPerKind;
  for (int i = 0; i < cases; ++i) {
    const Case c = DrawCase(kind, random);
    const std::vector<Answer> answers = Solve(c);
    ForEachIntegerTarget([&](const Target& target) { CheckCase(c, answers, target, i % 4 == 0 ? 3 : 1); });
  }
}

// The float kinds that move or compare elements: bytes give what floats of the same values give.
void CheckMoved(StepKind kind) {
  Random random(11 + static_cast<uint64_t>(kind));
  for (int i = 0; i < kCasesPerKind; ++i) {
    const Case c = DrawMovedBytes(kind, random);
    Case floats = c;
    for (Operand& operand : floats.inputs) {
      if (operand.values.empty()) operand.values.assign(operand.integers.begin(), operand.integers.end());
    }
    const std::vector<Answer> answers = Solve(floats);
    ForEachIntegerTarget([&](const Target& target) { CheckCase(c, answers, target, i % 4 == 0 ? 3 : 1); });
  }
}

Operand Bytes(const PlanBuilder::Shape& shape, const std::vector<int32_t>& values, PlanType type, float scale,
              int32_t zero, bool is_constant = false) {
  return {shape, {}, values, is_constant, type, scale, zero};
}

// A dense step of one input, one output and one weight.
Case OneProduct(int32_t x, int32_t w, int32_t bias, float multiplier) {
  Case c = {StepKind::kQdense, {}, {}, {}};
  c.Set(gapcam::QdenseParams{0, -128, 127, 0, 0, 0, 0, 0});
  Operand scales = {{1}, {multiplier}, {}, true};
  c.inputs = {Bytes({1, 1}, {x}, PlanType::kInt8, 1, 0),
              Bytes({1, 1}, {w}, PlanType::kInt8, 1, 0, true),
              {{1}, {}, {bias}, true, PlanType::kInt32},
              scales,
              Operand()};
  c.outputs = {Bytes({1, 1}, {}, PlanType::kInt8, 1, 0)};
  return c;
}

// A chain whose tensors exceed the second-level cache, so that kernels divide it into strips.
Case LargeChain(Random& random, uint32_t kernel, uint32_t stride) {
  constexpr uint32_t kHeight = 97, kWidth = 61, kChannels = 8, kMiddle = 320, kFeatures = 5;
  const auto bytes = [&random](const PlanBuilder::Shape& shape, PlanType type, bool is_constant) {
    std::vector<int32_t> values(ElementsOf(shape));
    for (int32_t& value : values)
      value = static_cast<int32_t>(random.Between(0, 255)) - (type == PlanType::kInt8 ? 128 : 0);
    return Bytes(shape, values, type, 0.05f, type == PlanType::kInt8 ? 0 : 100, is_constant);
  };
  const auto scales = [](uint32_t count) { return Operand{{count}, std::vector<float>(count, 0.003f), {}, true}; };
  gapcam::QchainParams p = {};
  p.op = gapcam::WindowOp::kDepthwise;
  p.kernel_h = p.kernel_w = kernel, p.stride_h = p.stride_w = stride, p.dilation_h = p.dilation_w = 1;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = kernel / 2;
  p.expand_kernel_h = p.expand_kernel_w = p.expand_stride_h = p.expand_stride_w = 1;
  p.expand_dilation_h = p.expand_dilation_w = 1;
  p.expand_zero = 120, p.window_zero = 130, p.expand_high = p.window_high = p.high = 255;
  Case c = {StepKind::kQchain, {}, {}, {}};
  c.Set(p);
  c.inputs = {bytes({1, kHeight, kWidth, kChannels}, PlanType::kUint8, false),
              bytes({kMiddle, 1, kernel, kernel}, PlanType::kInt8, true),
              Operand(),
              scales(kMiddle),
              bytes({kMiddle, kChannels, 1, 1}, PlanType::kInt8, true),
              Operand(),
              scales(kMiddle),
              bytes({kFeatures, kMiddle, 1, 1}, PlanType::kInt8, true),
              Operand(),
              scales(kFeatures),
              Operand()};
  c.outputs = {
      Bytes({1, (kHeight - 1) / stride + 1, (kWidth - 1) / stride + 1, kFeatures}, {}, PlanType::kUint8, 0.05f, 99),
      Operand()};
  return c;
}

double ResultOf(const Case& c, const Target& target) {
  CaseRun run(c, target, 1);
  if (!run.status().ok()) {
    Fail(__FILE__, __LINE__, "%s: %s", target.name, run.status().message());
    return 0;
  }
  run.Compute();
  return run.Element(0, 0);
}

}  // namespace

TEST("quantize gives the bits of its definition, with ties, infinities and NaNs") { CheckKind(StepKind::kQuantize); }
TEST("dequantize gives the bits of its definition") { CheckKind(StepKind::kDequantize); }
TEST("qconv2d gives the bits of its definition") { CheckKind(StepKind::kQconv2d); }
TEST("qdense gives the bits of its definition") { CheckKind(StepKind::kQdense); }
TEST("qbinary gives the bits of its definition, with broadcasting") { CheckKind(StepKind::kQbinary); }
TEST("lookup gives the bits of its definition") { CheckKind(StepKind::kLookup); }
TEST("qpool2d gives the bits of its definition") { CheckKind(StepKind::kQpool2d); }
TEST("qreduce gives the bits of its definition") { CheckKind(StepKind::kQreduce); }
TEST("qchain gives the bits of its definition") { CheckKind(StepKind::kQchain); }

TEST("a chain of bytes that is larger than the cache gives the bits of its definition") {
  Random random(5);
  for (const uint32_t kernel : {3u, 5u}) {
    for (const uint32_t stride : {1u, 2u}) {
      const Case c = LargeChain(random, kernel, stride);
      const std::vector<Answer> answers = Solve(c);
      for (const uint32_t threads : {1u, 3u})
        ForEachIntegerTarget([&](const Target& target) { CheckCase(c, answers, target, threads); });
    }
  }
}

TEST("copy, concat, resample, maximums and minimums give the same values of bytes as of floats") {
  for (const StepKind kind :
       {StepKind::kCopy, StepKind::kConcat, StepKind::kResample, StepKind::kPool2d, StepKind::kReduce})
    CheckMoved(kind);
}

TEST("a tie is rounded to the even byte") {
  ForEachIntegerTarget([](const Target& target) {
    const int32_t sums[] = {1, 3, 5, -1, -3, -5};
    const double wanted[] = {0, 2, 2, 0, -2, -2};
    for (int i = 0; i < 6; ++i) {
      const double got = ResultOf(OneProduct(sums[i], 1, 0, 0.5f), target);
      EXPECT(got == wanted[i], "%s rounds %d / 2 to %g", target.name, sums[i], got);
    }
  });
}

TEST("the product of a sum and its multiplier is rounded to single precision before it is rounded to a byte") {
  ForEachIntegerTarget([](const Target& target) {
    // 5 · 0.1f is 0.5 + 7.5e-9, which single precision rounds to 0.5, and then to 0. In one rounding it would be 1.
    EXPECT(ResultOf(OneProduct(5, 1, 0, 0.1f), target) == 0, "%s rounds once", target.name);
  });
}

TEST("a bias near the end of 32 bits saturates the result, where the sum would wrap around") {
  ForEachIntegerTarget([](const Target& target) {
    const double high = ResultOf(OneProduct(127, 127, 2147483647, 1e-9f), target);
    EXPECT(high == 2, "%s gives %g for a bias of 2^31 - 1", target.name, high);
    const double low = ResultOf(OneProduct(127, -128, -2147483647 - 1, 1e-9f), target);
    EXPECT(low == -2, "%s gives %g for a bias of -2^31", target.name, low);
  });
}

TEST("a sum that is large for its multiplier saturates") {
  ForEachIntegerTarget([](const Target& target) {
    EXPECT(ResultOf(OneProduct(127, 127, 2000000000, 3e38f), target) == 127, "%s does not saturate", target.name);
    EXPECT(ResultOf(OneProduct(-128, 127, -2000000000, 3e38f), target) == -128, "%s does not saturate", target.name);
  });
}

TEST("padding has the value of the zero point") {
  ForEachIntegerTarget([](const Target& target) {
    Case c = {StepKind::kQconv2d, {}, {}, {}};
    c.Set(gapcam::Qconv2dParams{3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 255, 0, 0, 0, 0, 0});
    Operand scales = {{1}, {1}, {}, true};
    c.inputs = {Bytes({1, 1, 1, 1}, {203}, PlanType::kUint8, 1, 200),
                Bytes({1, 1, 3, 3}, std::vector<int32_t>(9, 2), PlanType::kInt8, 1, 0, true), Operand(), scales,
                Operand()};
    c.outputs = {Bytes({1, 1, 1, 1}, {}, PlanType::kUint8, 1, 10), Operand()};
    EXPECT(ResultOf(c, target) == 16, "%s gives %g", target.name, ResultOf(c, target));
  });
}

}  // namespace gapcam_test
