// The plan's reader and its checks: a plan that is wrong in one place is refused with a message that says where.
#include "../plan/plan.h"

#include <cstring>
#include <limits>

#include "check.h"
#include "small_network.h"

namespace gapcam_test {
namespace {

using gapcam::Elementwise;
using gapcam::StepKind;

// Expects that the plan is refused and that the message contains `words`.
void ExpectRefusal(const Bytes& bytes, const char* words) {
  gapcam::Plan plan;
  const gapcam::Status status = gapcam::ReadPlan(bytes.data(), bytes.size(), &plan);
  EXPECT(!status.ok(), "a plan was accepted that should be refused with \"%s\"", words);
  EXPECT(status.ok() || std::strstr(status.message(), words), "refused with \"%s\" instead of \"%s\"", status.message(),
         words);
}

// A plan of one step with one input and one output.
Bytes OneStep(StepKind kind, const std::vector<uint32_t>& params, const PlanBuilder::Shape& in,
              const PlanBuilder::Shape& out) {
  PlanBuilder plan;
  const uint32_t x = plan.Arena(in), y = plan.Arena(out);
  plan.Input(x);
  plan.Output(y);
  plan.StepWords(kind, {x}, {y}, params);
  return plan.Build();
}

}  // namespace

TEST("a plan with a wrong header is refused") {
  const Bytes good = SmallNetwork(true).bytes;
  ExpectRefusal(With(good, 0, uint32_t{0}), "not a plan");
  ExpectRefusal(With(good, 4, uint32_t{2}), "version 2");
  for (size_t count = 8; count < 32; count += 4)
    ExpectRefusal(With(good, count, uint32_t{0xffffffff}), "sections do not fit");
  ExpectRefusal(With(good, 32, uint64_t{1} << 40), "bytes of memory");
  ExpectRefusal(With(good, 32, uint64_t{64}), "does not lie inside its memory");
  ExpectRefusal(With(good, 56, uint64_t{1}), "header has reserved bytes set");
}

TEST("a plan with a wrong tensor is refused") {
  const Bytes good = SmallNetwork(true).bytes;
  const size_t tensor = kPlanHeaderBytes;  // the first record: the input
  ExpectRefusal(With(good, tensor, uint8_t{9}), "unknown type");
  ExpectRefusal(With(good, tensor + 1, uint8_t{1}), "is a constant");
  ExpectRefusal(With(good, tensor + 2, uint8_t{6}), "unknown type, storage or rank");
  ExpectRefusal(With(good, tensor + 3, uint8_t{1}), "reserved bytes set");
  ExpectRefusal(With(good, tensor + 4, uint32_t{0}), "size of 0");
  ExpectRefusal(With(good, tensor + 4, uint32_t{0xffffffff}), "too large");
  ExpectRefusal(With(good, tensor + 24, uint64_t{4}), "does not lie inside its memory");
  ExpectRefusal(With(good, tensor + 24, ~uint64_t{63}), "does not lie inside its memory");
  ExpectRefusal(With(good, tensor + 32, uint64_t{4}), "byte length");
  ExpectRefusal(With(good, tensor + 48, uint32_t{0xffffffff}), "outside its strings");
  ExpectRefusal(With(good, tensor + 60, uint32_t{1}), "reserved bytes set");
}

TEST("a float tensor with a scale or a zero point is refused, and so is a packing") {
  const Bytes good = SmallNetwork(true).bytes;
  gapcam::Plan plan;
  EXPECT(gapcam::ReadPlan(good.data(), good.size(), &plan).ok(), "the unchanged plan is refused");
  const uint32_t tensors = Get<uint32_t>(good, 8), steps = Get<uint32_t>(good, 20);
  for (uint32_t i = 0; i < tensors; ++i) {
    const size_t tensor = kPlanHeaderBytes + i * kPlanTensorBytes;
    EXPECT(Get<float>(good, tensor + 40) == 1.0f, "tensor %u of the unchanged plan has another scale", i);
    for (const float scale : {0.5f, 0.0f, -1.0f, 1.0000001f, std::numeric_limits<float>::quiet_NaN()})
      ExpectRefusal(With(good, tensor + 40, scale), "of type float32 has scale");
    for (const int32_t zero_point : {1, -128, 128})
      ExpectRefusal(With(good, tensor + 44, zero_point), "of type float32 has scale 1 and zero point");
  }
  ExpectRefusal(With(good, kPlanHeaderBytes + 40, 0.5f),
                "tensor 0 (t0) of type float32 has scale 0.5 and zero point 0");
  for (uint32_t i = 0; i < steps; ++i)
    ExpectRefusal(With(good, StepsAt(good) + i * kPlanStepBytes + 28, uint32_t{1}), "has a packing");
}

TEST("a plan at an odd address is refused") {
  Bytes shifted = SmallNetwork(true).bytes;
  shifted.insert(shifted.begin(), 0);
  gapcam::Plan plan;
  const gapcam::Status status = gapcam::ReadPlan(shifted.data() + 1, shifted.size() - 1, &plan);
  EXPECT(!status.ok() && std::strstr(status.message(), "multiple of 4"), "refused with \"%s\"", status.message());
}

TEST("a plan without its constants is refused unless every constant is given") {
  const SmallNetwork network(false);
  const Bytes outline = With(network.bytes, 48, uint64_t{0});
  const size_t constants_at = ConstantsAt(network.bytes);
  const std::vector<gapcam::ConstantChunk> none, part = {{0, network.bytes.data() + constants_at, 24 * 27 * 4}};
  gapcam::Plan plan;
  EXPECT(!gapcam::ReadPlan(outline.data(), constants_at, &plan).ok(), "a plan without constants was accepted as whole");
  EXPECT(!gapcam::ReadPlan(network.bytes.data(), network.bytes.size(), &plan, &none).ok(),
         "a whole plan was accepted as one without constants");
  for (const auto* chunks : {&none, &part}) {
    const gapcam::Status status = gapcam::ReadPlan(outline.data(), constants_at, &plan, chunks);
    EXPECT(!status.ok() && std::strstr(status.message(), "has no values"), "accepted, or refused with \"%s\"",
           status.message());
  }
}

TEST("a step with a wrong kind, word count or tensor count is refused") {
  ExpectRefusal(OneStep(StepKind::kElementwise, {gapcam::kElementwiseCount, 0, 0}, {4}, {4}),
                "parameter with an unknown value");
  ExpectRefusal(OneStep(StepKind::kElementwise, {1, 0}, {4}, {4}), "wrong number of parameter words");
  ExpectRefusal(OneStep(static_cast<StepKind>(gapcam::kStepKindCount), {}, {4}, {4}), "unknown kind");
  ExpectRefusal(OneStep(StepKind::kConv2d, std::vector<uint32_t>(14, 1), {1, 4, 4, 1}, {1, 4, 4, 1}),
                "wrong number of tensors");
}

TEST("a step with an absent, mistyped or variable tensor where the step table forbids it is refused") {
  const auto dense = [](bool has_weights, bool is_constant, bool is_float) {
    PlanBuilder plan;
    const uint32_t x = plan.Arena({1, 4}), y = plan.Arena({1, 2});
    const uint32_t weights = !has_weights  ? gapcam::kAbsent
                             : !is_float   ? plan.Constant({4, 2}, std::vector<int32_t>(8))
                             : is_constant ? plan.Constant({4, 2}, std::vector<float>(8))
                                           : plan.Arena({4, 2});
    plan.Input(x);
    plan.Output(y);
    plan.Step(StepKind::kDense, {x, weights}, {y}, gapcam::DenseParams{0, Elementwise::kNone, 0, 0});
    return plan.Build();
  };
  const Bytes good = dense(true, true, true);
  gapcam::Plan plan;
  EXPECT(gapcam::ReadPlan(good.data(), good.size(), &plan).ok(), "the unchanged plan is refused");
  ExpectRefusal(dense(false, true, true), "step step0 (dense) lacks its tensor weights");
  ExpectRefusal(dense(true, true, false), "cannot use tensor weights with its element type");
  ExpectRefusal(dense(true, false, true), "needs a constant as its tensor weights");

  PlanBuilder without_output;
  const uint32_t x = without_output.Arena({1, 2, 2, 1}),
                 weights = without_output.Constant({1, 1, 1, 1}, std::vector<float>{1});
  without_output.Step(StepKind::kConv2d, {x, weights}, {gapcam::kAbsent, gapcam::kAbsent},
                      gapcam::Conv2dParams{1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, Elementwise::kNone, 0, 0});
  ExpectRefusal(without_output.Build(), "has no output");
}

TEST("a step whose parameters do not fit its tensors is refused") {
  ExpectRefusal(OneStep(StepKind::kElementwise, {1, 0, 0}, {4}, {5}), "number of elements");
  ExpectRefusal(OneStep(StepKind::kPool2d, {0, 2, 2, 2, 2, 0, 0, 0, 0, 1, 1, 0}, {1, 4, 4, 1}, {1, 3, 2, 1}),
                "outside its input");
  ExpectRefusal(OneStep(StepKind::kPool2d, {0, 2, 2, 0, 2, 0, 0, 0, 0, 1, 1, 0}, {1, 4, 4, 1}, {1, 2, 2, 1}),
                "window size of 0");
  ExpectRefusal(OneStep(StepKind::kReduce, {0, 1, 5, 1}, {4}, {1}), "other sizes than its tensors");
  ExpectRefusal(OneStep(StepKind::kReduce, {0, 0x10000, 0x10000, 1}, {4}, {1}), "other sizes than its tensors");
  ExpectRefusal(OneStep(StepKind::kSoftmax, {0, 0, 4, 1}, {4}, {4}), "empty span");
  ExpectRefusal(OneStep(StepKind::kLrn, {0, 0, 0, 0}, {4}, {4}), "empty neighbourhood");
  ExpectRefusal(OneStep(StepKind::kConcat, {3, 1}, {4}, {4}), "3 rows");
  ExpectRefusal(OneStep(StepKind::kConcat, {1, 0}, {4}, {4}), "0 groups");
}

TEST("a copy that leaves its tensors or writes an element twice is refused") {
  const uint32_t minus = 0xffffffff;
  const auto copy = [](uint32_t size, uint32_t in_stride, uint32_t out_stride, uint32_t in_offset) {
    return OneStep(StepKind::kCopy,
                   {1, 1, 1, 1, size, 0, 0, 0, 0, in_stride, 0, 0, 0, 0, out_stride, in_offset, 0, 0, 0}, {4}, {4});
  };
  ExpectRefusal(copy(4, 2, 1, 0), "reads outside");
  ExpectRefusal(copy(4, minus, 1, 0), "reads outside");
  ExpectRefusal(copy(4, 1, 1, 1), "reads outside");
  ExpectRefusal(copy(4, 1, 2, 0), "writes outside");
  ExpectRefusal(copy(4, 1, minus, 0), "writes backwards");
  ExpectRefusal(copy(3, 1, 1, 0), "unwritten");
  ExpectRefusal(copy(1u << 30, 0, 0, 0), "more than once");
}

TEST("a step that writes over its input, a constant or another output is refused") {
  PlanBuilder over;
  const uint32_t x = over.Arena({2, 3});
  over.Input(x);
  over.Step(StepKind::kSoftmax, {x}, {over.Over(x, {2, 3})}, gapcam::SoftmaxParams{0, 2, 3, 1});
  ExpectRefusal(over.Build(), "writes over its input 0");

  PlanBuilder constant;
  const uint32_t fixed = constant.Constant({4}, std::vector<float>(4));
  constant.Step(StepKind::kElementwise, {fixed}, {fixed}, gapcam::ElementwiseParams{Elementwise::kRelu, 0, 0});
  ExpectRefusal(constant.Build(), "or a constant");

  PlanBuilder twice;
  const uint32_t in = twice.Arena({4}), out = twice.Arena({2});
  twice.Step(StepKind::kConcat, {in}, {out, twice.Over(out, {2})}, gapcam::ConcatParams{1, 1});
  ExpectRefusal(twice.Build(), "two outputs to one place");
}

TEST("a resample whose index lies outside its input is refused") {
  PlanBuilder plan;
  const uint32_t row = plan.Arena({4}), picked = plan.Arena({2});
  const uint32_t table = plan.Constant({2}, std::vector<int32_t>{0, 4}),
                 weights = plan.Constant({2}, std::vector<float>{1, 1});
  plan.Step(StepKind::kResample, {row, table, weights}, {picked}, gapcam::ResampleParams{1, 4, 2, 1, 1});
  ExpectRefusal(plan.Build(), "element 4 of 4");
}

}  // namespace gapcam_test
