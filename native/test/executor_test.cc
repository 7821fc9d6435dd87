// The executor on a small network with a GAP head: any number of threads, the feature map asked for or not, and the
// plan's buffer gone after opening all give the same bits. And plans that are wrong in one place are refused by name.
#include <cstring>
#include <memory>

#include "../plan/executor.h"
#include "check.h"
#include "plan_builder.h"
#include "random.h"

namespace gapcam_test {
namespace {

using gapcam::Elementwise;
using gapcam::Executor;
using gapcam::StepKind;
using gapcam::Target;
using Bytes = std::vector<uint8_t>;

gapcam::Conv2dParams Convolution(uint32_t kernel, uint32_t stride, uint32_t groups) {
  gapcam::Conv2dParams p = {};
  p.kernel_h = p.kernel_w = kernel;
  p.stride_h = p.stride_w = stride;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = kernel / 2;
  p.dilation_h = p.dilation_w = 1;
  p.groups = groups;
  p.activation = Elementwise::kRelu;
  return p;
}

// Stem, depthwise, 3x3, and a last pointwise convolution with GAP fused into it; then a dense layer and a softmax.
struct Network {
  explicit Network(bool has_map) {
    Random random(7);
    PlanBuilder plan;
    const auto weights = [&](const PlanBuilder::Shape& shape) {
      return plan.Constant(shape, random.Floats(ElementsOf(shape), 0.3f));
    };
    input = plan.Arena({1, 33, 29, 3});
    const uint32_t stem = plan.Arena({1, 17, 15, 24}), depth = plan.Arena({1, 17, 15, 24}),
                   wide = plan.Arena({1, 17, 15, 40});
    const uint32_t map = has_map ? plan.Arena({1, 17, 15, 70}) : gapcam::kAbsent;
    pooled = plan.Arena({1, 1, 1, 70});
    const uint32_t dense = plan.Arena({1, 10});
    logits = plan.Arena({1, 10});
    plan.Input(input);
    plan.Step(StepKind::kConv2d, {input, weights({24, 3, 3, 3}), weights({24})}, {stem}, Convolution(3, 2, 1));
    plan.Step(StepKind::kConv2d, {stem, weights({24, 1, 3, 3}), weights({24})}, {depth}, Convolution(3, 1, 24));
    plan.Step(StepKind::kConv2d, {depth, weights({40, 24, 3, 3}), weights({40})}, {wide}, Convolution(3, 1, 1));
    plan.Step(StepKind::kConv2d, {wide, weights({70, 40, 1, 1}), weights({70})}, {map, pooled}, Convolution(1, 1, 1));
    plan.Step(StepKind::kDense, {pooled, weights({10, 70}), weights({10})}, {dense},
              gapcam::DenseParams{1, Elementwise::kNone, 0, 0});
    plan.Step(StepKind::kSoftmax, {dense}, {logits}, gapcam::SoftmaxParams{0, 1, 10, 1});
    plan.Output(logits);
    plan.Output(pooled);
    if (has_map) plan.Output(map);
    bytes = plan.Build();
  }

  Bytes bytes;
  uint32_t input, pooled, logits;
};

// The pooled vector and the scores after two runs.
std::vector<float> Results(const Network& network, const Target& target, uint32_t threads) {
  std::unique_ptr<Executor> executor;
  gapcam::Status status;
  {
    // The caller's buffer may go once the executor is open: this one does.
    const Bytes block = network.bytes;
    status = Executor::Open(block.data(), block.size(), target, threads, &executor);
  }
  if (!status.ok()) {
    Fail(__FILE__, __LINE__, "%s: %s", target.name, status.message());
    return {};
  }
  Random random(11);
  const std::vector<float> picture = random.Floats(33 * 29 * 3);
  for (int frame = 0; frame < 2; ++frame) {
    std::memcpy(executor->data(network.input), picture.data(), picture.size() * 4);
    executor->Run();
  }
  const auto* pooled = static_cast<const float*>(executor->data(network.pooled));
  const auto* scores = static_cast<const float*>(executor->data(network.logits));
  std::vector<float> results(pooled, pooled + 70);
  results.insert(results.end(), scores, scores + 10);
  return results;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

template <typename Check>
void ForEachUsableTarget(const Check& check) {
  uint32_t count = 0;
  const Target* const* targets = gapcam::Targets(&count);
  for (uint32_t i = 0; i < count; ++i)
    if (!targets[i]->unsupported()) check(*targets[i]);
}

// Refused, and by which words.
void ExpectRefusal(const Bytes& bytes, const char* words) {
  gapcam::Plan plan;
  const gapcam::Status status = gapcam::ReadPlan(bytes.data(), bytes.size(), &plan);
  EXPECT(!status.ok(), "accepted, though it %s", words);
  EXPECT(status.ok() || std::strstr(status.message(), words), "refused with \"%s\" instead of \"%s\"", status.message(),
         words);
}

template <typename T>
Bytes With(Bytes bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
  return bytes;
}

}  // namespace

namespace {

uint64_t WordAt(const Bytes& bytes, size_t at) {
  uint64_t value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

}  // namespace

TEST("constants that lie apart, at any address, give the same bits, and each is let go once it is packed") {
  const Network network(false);
  const size_t constants_at = WordAt(network.bytes, 48);
  Bytes outline = With(network.bytes, 48, uint64_t{0});
  outline.resize(constants_at);
  // Two chunks that begin at odd addresses, as a model file's weights do; the second begins with the second weights.
  const size_t cut = 24 * 27 * 4 + (64 - 24 * 27 * 4 % 64) % 64, size = network.bytes.size() - constants_at;
  Bytes first(cut + 1), second(size - cut + 3);
  std::memcpy(first.data() + 1, network.bytes.data() + constants_at, cut);
  std::memcpy(second.data() + 3, network.bytes.data() + constants_at + cut, size - cut);
  size_t released = 0;
  const gapcam::Constants constants = {{{0, first.data() + 1, cut}, {cut, second.data() + 3, size - cut}},
                                       [&](const void*, size_t bytes) { released += bytes; }};
  ForEachUsableTarget([&](const Target& target) {
    std::unique_ptr<Executor> executor;
    released = 0;
    const gapcam::Status status = Executor::Open(outline.data(), outline.size(), target, 1, &executor, &constants);
    EXPECT(status.ok(), "%s: %s", target.name, status.message());
    if (!status.ok()) return;
    EXPECT(released > 3 * size / 4 && released <= size, "%s: %zu bytes of %zu were let go", target.name, released,
           size);
    const std::vector<float> picture = Random(11).Floats(33 * 29 * 3);
    std::memcpy(executor->data(network.input), picture.data(), picture.size() * 4);
    executor->Run();
    const auto* pooled = static_cast<const float*>(executor->data(network.pooled));
    const std::vector<float> results = Results(network, target, 1);
    EXPECT(std::memcmp(pooled, results.data(), 70 * 4) == 0, "%s: other results than with the constants in the plan",
           target.name);
  });
}

TEST("a plan without its constants is refused unless every one is given") {
  const Network network(false);
  Bytes outline = With(network.bytes, 48, uint64_t{0});
  const size_t constants_at = WordAt(network.bytes, 48);
  const std::vector<gapcam::ConstantChunk> none, part = {{0, network.bytes.data() + constants_at, 24 * 27 * 4}};
  gapcam::Plan plan;
  EXPECT(!gapcam::ReadPlan(outline.data(), constants_at, &plan).ok(), "an outline was taken for a whole plan");
  EXPECT(!gapcam::ReadPlan(network.bytes.data(), network.bytes.size(), &plan, &none).ok(),
         "a whole plan was taken for an outline");
  for (const auto* chunks : {&none, &part}) {
    const gapcam::Status status = gapcam::ReadPlan(outline.data(), constants_at, &plan, chunks);
    EXPECT(!status.ok() && std::strstr(status.message(), "has no values"), "accepted, or refused with \"%s\"",
           status.message());
  }
}

TEST("one to four threads give the same bits") {
  const Network network(true);
  ForEachUsableTarget([&](const Target& target) {
    const std::vector<float> one = Results(network, target, 1);
    float sum = 0;
    for (size_t i = 70; i < one.size(); ++i) sum += one[i];
    EXPECT(sum > 0.9999f && sum < 1.0001f, "%s: the scores sum to %g", target.name, sum);
    for (uint32_t threads = 2; threads <= 4; ++threads)
      EXPECT(SameBits(one, Results(network, target, threads)), "%s differs on %u threads", target.name, threads);
  });
}

TEST("asking for the feature map does not change a bit of the scores") {
  const Network with(true), without(false);
  ForEachUsableTarget([&](const Target& target) {
    EXPECT(SameBits(Results(with, target, 2), Results(without, target, 2)), "%s differs", target.name);
  });
}

TEST("pages that are put together while frames go on change no bit") {
  constexpr uint32_t kSize = 1536;  // 9 MB of weights
  Random random(5);
  PlanBuilder plan;
  const uint32_t x = plan.Arena({1, kSize}), y = plan.Arena({1, kSize});
  plan.Input(x);
  plan.Step(StepKind::kDense, {x, plan.Constant({kSize, kSize}, random.Floats(kSize * kSize)), gapcam::kAbsent}, {y},
            gapcam::DenseParams{1, Elementwise::kNone, 0, 0});
  plan.Output(y);
  const Bytes bytes = plan.Build();
  const std::vector<float> input = random.Floats(kSize);
  ForEachUsableTarget([&](const Target& target) {
    std::unique_ptr<Executor> executor;
    const gapcam::Status status = Executor::Open(bytes.data(), bytes.size(), target, 2, &executor);
    EXPECT(status.ok(), "%s: %s", target.name, status.message());
    if (!status.ok()) return;
    std::memcpy(executor->data(x), input.data(), input.size() * 4);
    executor->Run();
    const auto* result = static_cast<const float*>(executor->data(y));
    const std::vector<float> before(result, result + kSize);
    executor->CollapsePages();
    for (int frame = 0; frame < 50; ++frame) {
      executor->Run();
      EXPECT(std::memcmp(before.data(), result, kSize * 4) == 0, "%s: frame %d differs", target.name, frame);
    }
    executor->CollapsePages();  // a second time does nothing, and closing does not wait for the rest
  });
}

TEST("a plan with a wrong header or tensor is refused by name") {
  const Bytes good = Network(true).bytes;
  const size_t tensor = 64;  // the first row: the input
  ExpectRefusal(With(good, 0, uint32_t{0}), "not a plan");
  ExpectRefusal(With(good, 4, uint32_t{2}), "version 2");
  for (size_t count = 8; count < 32; count += 4)
    ExpectRefusal(With(good, count, uint32_t{0xffffffff}), "sections do not fit");
  ExpectRefusal(With(good, 32, uint64_t{1} << 40), "bytes of memory");
  ExpectRefusal(With(good, 32, uint64_t{64}), "leaves its memory");
  ExpectRefusal(With(good, tensor, uint8_t{9}), "no known kind");
  ExpectRefusal(With(good, tensor + 2, uint8_t{6}), "no known kind");
  ExpectRefusal(With(good, tensor + 4, uint32_t{0}), "size that is not allowed");
  ExpectRefusal(With(good, tensor + 4, uint32_t{0xffffffff}), "too large");
  ExpectRefusal(With(good, tensor + 24, uint64_t{4}), "leaves its memory");
  ExpectRefusal(With(good, tensor + 24, ~uint64_t{63}), "leaves its memory");
  ExpectRefusal(With(good, tensor + 32, uint64_t{4}), "another length");
  ExpectRefusal(With(good, tensor + 48, uint32_t{0xffffffff}), "outside its strings");
  ExpectRefusal(With(good, tensor + 1, uint8_t{1}), "is a constant");
}

TEST("a plan at an odd address is refused") {
  Bytes shifted = Network(true).bytes;
  shifted.insert(shifted.begin(), 0);
  gapcam::Plan plan;
  const gapcam::Status status = gapcam::ReadPlan(shifted.data() + 1, shifted.size() - 1, &plan);
  EXPECT(!status.ok() && std::strstr(status.message(), "multiple of 4"), "refused with \"%s\"", status.message());
}

TEST("a step that does not fit its tensors is refused by name") {
  const auto one_step = [](StepKind kind, const std::vector<uint32_t>& params, const PlanBuilder::Shape& in,
                           const PlanBuilder::Shape& out) {
    PlanBuilder plan;
    const uint32_t x = plan.Arena(in), y = plan.Arena(out);
    plan.Input(x);
    plan.Output(y);
    plan.StepWords(kind, {x}, {y}, params);
    return plan.Build();
  };
  ExpectRefusal(one_step(StepKind::kElementwise, {1, 0, 0}, {4}, {5}), "number of elements");
  ExpectRefusal(one_step(StepKind::kElementwise, {gapcam::kElementwiseCount, 0, 0}, {4}, {4}),
                "parameter of no known value");
  ExpectRefusal(one_step(StepKind::kElementwise, {1, 0}, {4}, {4}), "wrong number of words");
  ExpectRefusal(one_step(static_cast<StepKind>(gapcam::kStepKindCount), {}, {4}, {4}), "no known kind");
  ExpectRefusal(one_step(StepKind::kConv2d, std::vector<uint32_t>(14, 1), {1, 4, 4, 1}, {1, 4, 4, 1}),
                "wrong number of tensors");
  ExpectRefusal(one_step(StepKind::kPool2d, {0, 2, 2, 2, 2, 0, 0, 0, 0, 1, 1, 0}, {1, 4, 4, 1}, {1, 3, 2, 1}),
                "outside its input");
  ExpectRefusal(one_step(StepKind::kPool2d, {0, 2, 2, 0, 2, 0, 0, 0, 0, 1, 1, 0}, {1, 4, 4, 1}, {1, 2, 2, 1}),
                "window size of 0");
  ExpectRefusal(one_step(StepKind::kReduce, {0, 1, 5, 1}, {4}, {1}), "other sizes than its tensors");
  ExpectRefusal(one_step(StepKind::kReduce, {0, 0x10000, 0x10000, 1}, {4}, {1}), "other sizes than its tensors");
  ExpectRefusal(one_step(StepKind::kSoftmax, {0, 0, 4, 1}, {4}, {4}), "empty span");
  ExpectRefusal(one_step(StepKind::kLrn, {0, 0, 0, 0}, {4}, {4}), "empty neighbourhood");
  ExpectRefusal(one_step(StepKind::kConcat, {3, 1}, {4}, {4}), "3 rows");
  ExpectRefusal(one_step(StepKind::kConcat, {1, 0}, {4}, {4}), "0 groups");
  const uint32_t minus = 0xffffffff;
  const auto copy = [&](uint32_t size, uint32_t in_stride, uint32_t out_stride, uint32_t in_offset) {
    return one_step(StepKind::kCopy,
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

TEST("steps that write where they read, or onto constants, are refused") {
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

  PlanBuilder picks;
  const uint32_t row = picks.Arena({4}), picked = picks.Arena({2});
  const uint32_t table = picks.Constant({2}, std::vector<int32_t>{0, 4}),
                 weights = picks.Constant({2}, std::vector<float>{1, 1});
  picks.Step(StepKind::kResample, {row, table, weights}, {picked}, gapcam::ResampleParams{1, 4, 2, 1, 1});
  ExpectRefusal(picks.Build(), "picks element 4 of 4");
}

}  // namespace gapcam_test
