// The executor on a small network: the number of threads, an unused feature map, the place of the constants and huge
// pages do not change a bit of the results.
#include "../plan/executor.h"

#include <cstring>
#include <memory>

#include "check.h"
#include "random.h"
#include "small_network.h"
#include "targets.h"

namespace gapcam_test {
namespace {

using gapcam::Executor;
using gapcam::Target;

constexpr uint32_t kPooled = SmallNetwork::kPooled;

std::vector<float> Picture() { return Random(11).Floats(SmallNetwork::kHeight * SmallNetwork::kWidth * 3); }

void SetInput(const Executor& executor, uint32_t tensor, const std::vector<float>& values) {
  std::memcpy(executor.data(tensor), values.data(), values.size() * sizeof(float));
}

// Opens a plan, or fails the test and returns null.
std::unique_ptr<Executor> Open(const Bytes& plan, const Target& target, uint32_t threads,
                               const gapcam::Constants* constants = nullptr) {
  std::unique_ptr<Executor> executor;
  const gapcam::Status status = Executor::Open(plan.data(), plan.size(), target, threads, &executor, constants);
  EXPECT(status.ok(), "%s: %s", target.name, status.message());
  return executor;
}

// The pooled vector and then the scores, after two runs. The plan's buffer is freed before the first run.
std::vector<float> Results(const SmallNetwork& network, const Target& target, uint32_t threads) {
  std::unique_ptr<Executor> executor;
  {
    const Bytes block = network.bytes;
    executor = Open(block, target, threads);
  }
  if (!executor) return {};
  for (int frame = 0; frame < 2; ++frame) {
    SetInput(*executor, network.input, Picture());
    executor->Run();
  }
  const auto* pooled = static_cast<const float*>(executor->data(network.pooled));
  const auto* scores = static_cast<const float*>(executor->data(network.logits));
  std::vector<float> results(pooled, pooled + kPooled);
  results.insert(results.end(), scores, scores + SmallNetwork::kClasses);
  return results;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST("constants in separate chunks at odd addresses give the same bits, and each is released once it is packed") {
  const SmallNetwork network(false);
  const size_t constants_at = ConstantsAt(network.bytes), size = network.bytes.size() - constants_at;
  Bytes outline = With(network.bytes, 48, uint64_t{0});
  outline.resize(constants_at);
  // Two chunks at odd addresses, as in a model file. The second begins with the second weights.
  const size_t cut = 24 * 27 * 4 + (64 - 24 * 27 * 4 % 64) % 64;
  Bytes first(cut + 1), second(size - cut + 3);
  std::memcpy(first.data() + 1, network.bytes.data() + constants_at, cut);
  std::memcpy(second.data() + 3, network.bytes.data() + constants_at + cut, size - cut);
  size_t released = 0;
  const gapcam::Constants constants = {{{0, first.data() + 1, cut}, {cut, second.data() + 3, size - cut}},
                                       [&](const void*, size_t bytes) { released += bytes; }};
  ForEachUsableTarget([&](const Target& target) {
    released = 0;
    const std::unique_ptr<Executor> executor = Open(outline, target, 1, &constants);
    if (!executor) return;
    EXPECT(released > 3 * size / 4 && released <= size, "%s: %zu bytes of %zu were released", target.name, released,
           size);
    SetInput(*executor, network.input, Picture());
    executor->Run();
    const std::vector<float> results = Results(network, target, 1);
    EXPECT(std::memcmp(executor->data(network.pooled), results.data(), kPooled * sizeof(float)) == 0,
           "%s: other results than with the constants in the plan", target.name);
  });
}

TEST("a constant that one step packs and another reads in place keeps its values for both") {
  const std::vector<float> values = {1, 2, 3, 4};
  PlanBuilder plan;
  const uint32_t x = plan.Arena({1, 2}), product = plan.Arena({1, 2}), copy = plan.Arena({2, 2});
  const uint32_t weights = plan.Constant({2, 2}, values);
  plan.Input(x);
  plan.Step(gapcam::StepKind::kDense, {x, weights}, {product},
            gapcam::DenseParams{0, gapcam::Elementwise::kNone, 0, 0});
  plan.Step(gapcam::StepKind::kElementwise, {weights}, {copy},
            gapcam::ElementwiseParams{gapcam::Elementwise::kNeg, 0, 0});
  plan.Output(product);
  plan.Output(copy);
  const Bytes bytes = plan.Build();
  ForEachUsableTarget([&](const Target& target) {
    const std::unique_ptr<Executor> executor = Open(bytes, target, 1);
    if (!executor) return;
    SetInput(*executor, x, {10, 1});
    executor->Run();
    const auto* y = static_cast<const float*>(executor->data(product));
    const auto* z = static_cast<const float*>(executor->data(copy));
    EXPECT(y[0] == 13 && y[1] == 24, "%s: the product is %g, %g", target.name, y[0], y[1]);
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT(z[i] == -values[i], "%s: element %zu is %g", target.name, i, z[i]);
  });
}

TEST("one to four threads give the same bits") {
  const SmallNetwork network(true);
  ForEachUsableTarget([&](const Target& target) {
    const std::vector<float> one = Results(network, target, 1);
    float sum = 0;
    for (size_t i = kPooled; i < one.size(); ++i) sum += one[i];
    EXPECT(sum > 0.9999f && sum < 1.0001f, "%s: the scores sum to %g", target.name, sum);
    for (uint32_t threads = 2; threads <= 4; ++threads)
      EXPECT(SameBits(one, Results(network, target, threads)), "%s differs on %u threads", target.name, threads);
  });
}

TEST("the feature map as an extra output does not change a bit of the scores") {
  const SmallNetwork with(true), without(false);
  ForEachUsableTarget([&](const Target& target) {
    EXPECT(SameBits(Results(with, target, 2), Results(without, target, 2)), "%s differs", target.name);
  });
}

TEST("huge pages that are made while frames run do not change a bit") {
  constexpr uint32_t kSize = 1536;  // 9 MB of weights
  Random random(5);
  PlanBuilder plan;
  const uint32_t x = plan.Arena({1, kSize}), y = plan.Arena({1, kSize});
  plan.Input(x);
  plan.Step(gapcam::StepKind::kDense, {x, plan.Constant({kSize, kSize}, random.Floats(kSize * kSize)), gapcam::kAbsent},
            {y}, gapcam::DenseParams{1, gapcam::Elementwise::kNone, 0, 0});
  plan.Output(y);
  const Bytes bytes = plan.Build();
  const std::vector<float> input = random.Floats(kSize);
  ForEachUsableTarget([&](const Target& target) {
    const std::unique_ptr<Executor> executor = Open(bytes, target, 2);
    if (!executor) return;
    SetInput(*executor, x, input);
    executor->Run();
    const auto* result = static_cast<const float*>(executor->data(y));
    const std::vector<float> before(result, result + kSize);
    executor->CollapsePages();
    for (int frame = 0; frame < 50; ++frame) {
      executor->Run();
      EXPECT(std::memcmp(before.data(), result, kSize * sizeof(float)) == 0, "%s: frame %d differs", target.name,
             frame);
    }
    executor->CollapsePages();  // a second call does nothing, and closing does not wait for the first to finish
  });
}

}  // namespace gapcam_test
