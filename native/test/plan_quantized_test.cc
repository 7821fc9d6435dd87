// Plans with integers: the reader and the checks refuse each of them that a target could not compute, with a sentence.
#include <cstring>
#include <limits>

#include "check.h"
#include "plan_bytes.h"
#include "plan_builder.h"

namespace gapcam_test {
namespace {

using gapcam::PlanType;
using gapcam::StepKind;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

gapcam::Status Read(const Bytes& bytes) {
  gapcam::Plan plan;
  return gapcam::ReadPlan(bytes.data(), bytes.size(), &plan);
}

void ExpectRefusal(const Bytes& bytes, const char* words) {
  const gapcam::Status status = Read(bytes);
  EXPECT(!status.ok() && std::strstr(status.message(), words), "accepted, or refused with \"%s\" instead of \"%s\"",
         status.ok() ? "" : status.message(), words);
}

// A qconv2d of one pixel, whose parts a test changes before it builds the plan.
struct Convolution1 {
  Elements x = {PlanType::kUint8, 0.5f, 3}, y = {PlanType::kUint8, 0.25f, 128}, residual = {PlanType::kUint8, 2, 255},
           pooled = {PlanType::kUint8, 1, 0}, weights = {PlanType::kInt8, 1, 0};
  uint32_t channels = 4;
  std::vector<float> scales = {0.5f, 0, 1e30f};
  gapcam::Qconv2dParams p = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 255, 1, 7, 0, 255, 0};

  Bytes Build() const {
    PlanBuilder plan;
    const uint32_t in = plan.Arena({1, 1, 1, channels}, x), added = plan.Arena({1, 1, 1, 3}, residual);
    const uint32_t out = plan.Arena({1, 1, 1, 3}, y), mean = plan.Arena({1, 1, 1, 3}, pooled);
    const uint32_t w = plan.Constant({3, channels, 1, 1}, std::vector<int32_t>(3 * channels, 1), weights);
    const uint32_t bias = plan.Constant({3}, std::vector<int32_t>(3, 2147483647));
    const uint32_t m = plan.Constant({static_cast<uint32_t>(scales.size())}, scales);
    plan.Input(in);
    plan.Input(added);
    plan.Output(out);
    plan.Step(StepKind::kQconv2d, {in, w, bias, m, added}, {out, mean}, p);
    return plan.Build();
  }
};

template <typename Change>
void ExpectRefused(const char* words, const Change& change) {
  Convolution1 conv;
  change(conv);
  ExpectRefusal(conv.Build(), words);
}

// A step of one input and one output, which are bytes with these elements.
Bytes OneStep(StepKind kind, const std::vector<uint32_t>& params, const PlanBuilder::Shape& in, const Elements& x,
              const PlanBuilder::Shape& out, const Elements& y) {
  PlanBuilder plan;
  const uint32_t from = plan.Arena(in, x), to = plan.Arena(out, y);
  plan.StepWords(kind, {from}, {to}, params);
  return plan.Build();
}

constexpr Elements kBytes = {PlanType::kUint8, 0.5f, 3}, kOthers = {PlanType::kUint8, 0.5f, 4},
                   kSigned = {PlanType::kInt8, 0.5f, 3}, kFloats = {};

}  // namespace

TEST("bytes need a finite scale above zero and a zero point inside their type") {
  const Bytes good = Convolution1().Build();
  EXPECT(Read(good).ok(), "the unchanged plan is refused: %s", Read(good).message());
  const size_t tensor = kPlanHeaderBytes;  // the first record: x
  for (const float scale : {0.0f, -0.5f, kNaN, kInfinity, 1e-40f})
    ExpectRefusal(With(good, tensor + 40, scale), "tensor 0 (t0) of type uint8 has scale");
  for (const int32_t zero_point : {-1, 256, std::numeric_limits<int32_t>::min()})
    ExpectRefusal(With(good, tensor + 44, zero_point), "zero point");
  EXPECT(Read(With(good, tensor + 44, int32_t{255})).ok(), "255 is a zero point of uint8");
  const Bytes is_signed = OneStep(StepKind::kDequantize, {}, {4}, kSigned, {4}, kFloats);
  EXPECT(Read(With(is_signed, tensor + 44, int32_t{-128})).ok(), "-128 is a zero point of int8");
  ExpectRefusal(With(is_signed, tensor + 44, int32_t{128}), "of type int8 has scale 0.5 and zero point 128");
}

TEST("a convolution of bytes with types, ranges, scales or multipliers that do not fit is refused") {
  ExpectRefused("both int8 and uint8", [](auto& c) { c.y = kSigned; });
  ExpectRefused("both int8 and uint8", [](auto& c) { c.residual = kSigned; });
  ExpectRefused("both int8 and uint8", [](auto& c) { c.pooled = kSigned; });
  ExpectRefused("cannot use tensor x", [](auto& c) { c.x = kFloats; });
  ExpectRefused("has a range of 3 to 2", [](auto& c) { c.p.low = 3, c.p.high = 2; });
  ExpectRefused("has a range of 0 to 256", [](auto& c) { c.p.high = 256; });
  ExpectRefused("has a range of -1 to 255", [](auto& c) { c.p.middle_low = -1; });
  ExpectRefused("zero point of 256", [](auto& c) { c.p.middle_zero = 256; });
  for (const float scale : {0.0f, -1.0f, kNaN, kInfinity})
    ExpectRefused("before its residual", [scale](auto& c) { c.p.middle_scale = scale; });
  ExpectRefused("in place 2 of its sum", [](auto& c) { c.p.residual_first = 2; });
  ExpectRefused("quotient", [](auto& c) { c.y.scale = 1e-37f, c.residual.scale = 1e20f; });
  ExpectRefused("quotient", [](auto& c) { c.pooled.scale = 1e-37f, c.y.scale = 1e20f; });
  ExpectRefused("int8 weights with a zero point", [](auto& c) { c.weights.zero_point = 1; });
  ExpectRefused("multipliers of a wrong shape", [](auto& c) { c.scales.push_back(1); });
  for (const float scale : {-1.0f, kNaN, kInfinity})
    ExpectRefused("has a multiplier of", [scale](auto& c) { c.scales[1] = scale; });
}

TEST("a step whose sums could leave 32 bits is refused; a bias is limited instead") {
  // A byte is at most 252 from the zero point 3, and a weight at most 128 from 0.
  constexpr uint32_t kMost = 2147483647 / (252 * 128);
  Convolution1 conv;
  conv.channels = kMost;
  EXPECT(Read(conv.Build()).ok(), "%s", Read(conv.Build()).message());
  conv.channels = kMost + 1;
  ExpectRefusal(conv.Build(), "products, which may not fit into 32 bits");
  constexpr uint32_t kMean = 2147483647 / 255;
  const auto mean = [](uint32_t length) {
    return OneStep(StepKind::kQreduce, {1, length, 1, 0, 255}, {length}, kBytes, {1}, kBytes);
  };
  EXPECT(Read(mean(kMean)).ok(), "%s", Read(mean(kMean)).message());
  ExpectRefusal(mean(kMean + 1), "may not fit into 32 bits");
}

TEST("a dense layer without multipliers is refused, although its bias may be absent") {
  PlanBuilder plan;
  const uint32_t x = plan.Arena({1, 4}, kBytes), y = plan.Arena({1, 2}, kBytes);
  const uint32_t w = plan.Constant({4, 2}, std::vector<int32_t>(8), {PlanType::kInt8});
  plan.Step(StepKind::kQdense, {x, w, gapcam::kAbsent, gapcam::kAbsent}, {y},
            gapcam::QdenseParams{0, 0, 255, 0, 0, 0, 0, 0});
  ExpectRefusal(plan.Build(), "lacks its tensor scales");
  PlanBuilder shorter;
  const uint32_t in = shorter.Arena({1, 4}, kBytes), out = shorter.Arena({1, 2}, kBytes);
  const uint32_t matrix = shorter.Constant({4, 2}, std::vector<int32_t>(8), {PlanType::kInt8});
  shorter.Step(StepKind::kQdense, {in, matrix, gapcam::kAbsent}, {out}, gapcam::QdenseParams{0, 0, 255, 0, 0, 0, 0, 0});
  ExpectRefusal(shorter.Build(), "wrong number of tensors");
}

TEST("a step that moves bytes between other types, scales or zero points is refused") {
  const auto copy = [](uint32_t fill, float value, const Elements& x, const Elements& y) {
    gapcam::CopyParams p = {{1, 1, 1, 1, 4}, {0, 0, 0, 0, 1}, {0, 0, 0, 0, 1}, 0, 0, fill, value};
    std::vector<uint32_t> words(sizeof(p) / 4);
    std::memcpy(words.data(), &p, sizeof(p));
    return OneStep(StepKind::kCopy, words, {4}, x, {4}, y);
  };
  EXPECT(Read(copy(1, 255, kBytes, kBytes)).ok(), "%s", Read(copy(1, 255, kBytes, kBytes)).message());
  for (const Elements& other : {kOthers, kSigned, kFloats}) {
    ExpectRefusal(copy(0, 0, kBytes, other), "different type, scale or zero point");
    ExpectRefusal(OneStep(StepKind::kConcat, {1, 1}, {4}, kBytes, {4}, other), "different type, scale or zero point");
    ExpectRefusal(OneStep(StepKind::kReduce, {2, 1, 4, 1}, {4}, kBytes, {1}, other), "different type");
    ExpectRefusal(
        OneStep(StepKind::kPool2d, {0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0}, {1, 2, 2, 1}, kBytes, {1, 2, 2, 1}, other),
        "different type");
  }
  for (const float value : {-1.0f, 256.0f, 0.5f, kNaN})
    ExpectRefusal(copy(1, value, kBytes, kBytes), "fills bytes with");
  ExpectRefusal(OneStep(StepKind::kReduce, {0, 1, 4, 1}, {4}, kBytes, {1}, kBytes), "other than a maximum or minimum");
  ExpectRefusal(
      OneStep(StepKind::kPool2d, {1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0}, {1, 2, 2, 1}, kBytes, {1, 2, 2, 1}, kBytes),
      "averages bytes");
}

TEST("bytes that are mixed, looked up in a short table or combined by other than a sum or product are refused") {
  PlanBuilder resample;
  const uint32_t x = resample.Arena({4}, kBytes), y = resample.Arena({2}, kBytes);
  resample.Step(
      StepKind::kResample,
      {x, resample.Constant({2}, std::vector<int32_t>{0, 1}), resample.Constant({2}, std::vector<float>{1, 0.5f})}, {y},
      gapcam::ResampleParams{1, 4, 2, 1, 1});
  ExpectRefusal(resample.Build(), "mixes bytes");

  PlanBuilder lookup;
  const uint32_t in = lookup.Arena({4}, kBytes), out = lookup.Arena({4}, kBytes);
  lookup.StepWords(StepKind::kLookup, {in, lookup.Constant({255}, std::vector<int32_t>(255), {PlanType::kUint8})},
                   {out}, {});
  ExpectRefusal(lookup.Build(), "table of 255 bytes");

  PlanBuilder binary;
  const uint32_t a = binary.Arena({4}, kBytes), b = binary.Arena({4}, kBytes), c = binary.Arena({4}, kBytes);
  binary.Step(StepKind::kQbinary, {a, b}, {c}, gapcam::QbinaryParams{gapcam::Binary::kDiv, 0, 255});
  ExpectRefusal(binary.Build(), "neither an addition nor a multiplication");
}

TEST("a chain of bytes with a maximum, or with weights and no multipliers, is refused") {
  const auto chain = [](gapcam::WindowOp op, bool has_scales) {
    PlanBuilder plan;
    const uint32_t x = plan.Arena({1, 4, 4, 2}, kBytes), y = plan.Arena({1, 4, 4, 2}, kBytes);
    const uint32_t w = plan.Constant({2, 1, 1, 1}, std::vector<int32_t>(2), {PlanType::kInt8});
    const uint32_t m = has_scales ? plan.Constant({2}, std::vector<float>(2, 1)) : gapcam::kAbsent;
    gapcam::QchainParams p = {};
    p.op = op;
    p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
    p.expand_kernel_h = p.expand_kernel_w = p.expand_stride_h = p.expand_stride_w = 1;
    p.expand_dilation_h = p.expand_dilation_w = 1;
    p.high = 255;
    plan.Step(StepKind::kQchain, {x, w, gapcam::kAbsent, m}, {y}, p);
    return plan.Build();
  };
  const Bytes good = chain(gapcam::WindowOp::kDepthwise, true);
  EXPECT(Read(good).ok(), "the unchanged plan is refused: %s", Read(good).message());
  ExpectRefusal(chain(gapcam::WindowOp::kDepthwise, false), "weights without multipliers");
  ExpectRefusal(chain(gapcam::WindowOp::kMax, true), "not a depthwise convolution");
}

}  // namespace gapcam_test
