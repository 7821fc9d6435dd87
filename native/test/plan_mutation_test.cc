// Hostile plans: one that is truncated is always refused, and one with changed bytes is refused or runs inside its
// memory. AddressSanitizer and UBSan watch the same tests in builds of their own.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>

#include "../plan/executor.h"
#include "cases.h"
#include "check.h"
#include "plan_bytes.h"
#include "targets.h"

namespace gapcam_test {
namespace {

using gapcam::Executor;
using gapcam::Plan;
using gapcam::PlanStep;
using gapcam::StepKind;
using gapcam::Target;

// Limits of this test. Larger plans are valid but take too long to run here.
constexpr uint64_t kMaxArenaBytes = 8 << 20, kMaxWork = 4 << 20;
constexpr int kMutantsPerPlan = 2000;

enum class Outcome { kRefused, kRan, kTooLarge };

// Reads per output element of a window, apart from convolutions.
uint64_t WindowOf(const PlanStep& step) {
  switch (step.kind) {
    case StepKind::kPool2d: {
      const auto& p = step.As<gapcam::Pool2dParams>();
      return uint64_t{p.kernel_h} * p.kernel_w;
    }
    case StepKind::kQpool2d: {
      const auto& p = step.As<gapcam::Qpool2dParams>();
      return uint64_t{p.kernel_h} * p.kernel_w;
    }
    case StepKind::kResample: return step.As<gapcam::ResampleParams>().taps;
    default: return 1;
  }
}

// An upper bound on the elements that a run reads and writes.
uint64_t WorkOf(const Plan& plan) {
  uint64_t work = 0;
  for (const PlanStep& step : plan.steps) {
    uint64_t reads = 1, writes = 0;
    for (uint32_t id : step.inputs)
      if (id != gapcam::kAbsent) reads = std::max<uint64_t>(reads, plan.tensors[id].elements);
    for (uint32_t id : step.outputs)
      if (id != gapcam::kAbsent) writes += plan.tensors[id].elements;
    const bool multiplies = step.kind == StepKind::kConv2d || step.kind == StepKind::kDense ||
                            step.kind == StepKind::kProduct || step.kind == StepKind::kQconv2d ||
                            step.kind == StepKind::kQdense;
    work += multiplies ? reads * writes : reads + writes * WindowOf(step);
  }
  return work;
}

// Runs the plan and returns the first byte of the arena that changed although no output covers it, or -1.
int64_t FirstStrayWrite(Executor& executor) {
  const Plan& plan = executor.plan();
  uint8_t* arena = nullptr;
  std::vector<bool> may_change(plan.arena_bytes, false);
  for (uint32_t id = 0; id < plan.tensors.size() && !arena; ++id) {
    if (!plan.tensors[id].is_constant) arena = static_cast<uint8_t*>(executor.data(id)) - plan.tensors[id].offset;
  }
  for (const PlanStep& step : plan.steps) {
    for (uint32_t id : step.outputs) {
      if (id == gapcam::kAbsent) continue;
      const auto from = may_change.begin() + static_cast<int64_t>(plan.tensors[id].offset);
      std::fill(from, from + static_cast<int64_t>(plan.tensors[id].bytes), true);
    }
  }
  if (!arena) return -1;
  std::memset(arena, 0x3f, plan.arena_bytes);  // every float is 0.747
  executor.Run();
  for (uint64_t i = 0; i < plan.arena_bytes; ++i)
    if (!may_change[i] && arena[i] != 0x3f) return static_cast<int64_t>(i);
  return -1;
}

// Reads the bytes from a block of exactly their size, so that sanitizers see any read beyond it, and runs accepted
// plans.
Outcome Feed(const Bytes& bytes, const Target& target) {
  const std::unique_ptr<uint8_t[]> block(new uint8_t[bytes.size()]);
  if (!bytes.empty()) std::memcpy(block.get(), bytes.data(), bytes.size());
  Plan plan;
  const gapcam::Status status = gapcam::ReadPlan(block.get(), bytes.size(), &plan);
  if (!status.ok()) {
    EXPECT(std::strcmp(status.code(), "MODEL_INVALID") == 0 && status.message()[0] != 0, "refused with %s and \"%s\"",
           status.code(), status.message());
    return Outcome::kRefused;
  }
  if (plan.arena_bytes > kMaxArenaBytes || WorkOf(plan) > kMaxWork) return Outcome::kTooLarge;
  std::unique_ptr<Executor> executor;
  if (!Executor::Open(block.get(), bytes.size(), target, 1, &executor).ok()) return Outcome::kRefused;
  const int64_t at = FirstStrayWrite(*executor);
  EXPECT(at < 0, "%s: a mutated plan wrote outside its outputs, byte %lld of the arena", target.name,
         static_cast<long long>(at));
  return Outcome::kRan;
}

// One small plan for each kind of step.
std::vector<Bytes> SmallPlans() {
  std::vector<Bytes> plans;
  for (uint32_t kind = 0; kind < kCommonKindCount; ++kind) {
    Random random(100 + kind);
    Bytes smallest;
    for (int i = 0; i < 40; ++i) {
      std::vector<uint32_t> inputs, outputs;
      const Bytes plan = BuildPlan(DrawCase(static_cast<StepKind>(kind), random), &inputs, &outputs).Build();
      if (smallest.empty() || plan.size() < smallest.size()) smallest = plan;
    }
    plans.push_back(smallest);
  }
  return plans;
}

void MutateByte(Bytes* plan, size_t constants_at, Random& random) {
  const auto limit = static_cast<uint32_t>(random.Chance(85) ? constants_at : plan->size());
  const uint32_t at = random.Between(0, limit - 1);
  (*plan)[at] = random.Chance(50) ? static_cast<uint8_t>(random.Next())
                                  : static_cast<uint8_t>((*plan)[at] ^ (1u << random.Between(0, 7)));
}

// Replaces a 32-bit field by a number that tends to break sums, products and comparisons.
void MutateField(Bytes* plan, size_t constants_at, Random& random) {
  const uint32_t at = 4 * random.Between(2, static_cast<uint32_t>(constants_at) / 4 - 1),
                 old = Get<uint32_t>(*plan, at);
  const std::vector<uint32_t> choices = {0,          1,       2,       3,          5,          64,         128,
                                         4096,       65535,   65536,   0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe,
                                         0xffffffff, old + 1, old - 1, old * 2,    old + 64,   old / 2};
  Put(plan, at, random.Among(choices));
}

}  // namespace

TEST("a truncated plan is refused, wherever it is cut") {
  for (const Bytes& plan : SmallPlans()) {
    for (size_t size = 0; size < plan.size(); size += size < 512 ? 1 : 37) {
      EXPECT(Feed(Bytes(plan.begin(), plan.begin() + static_cast<int64_t>(size)), ScalarTarget()) == Outcome::kRefused,
             "%zu of %zu bytes were accepted", size, plan.size());
    }
  }
}

TEST("a plan with changed bytes and fields is refused or stays inside its memory") {
  std::vector<const Target*> usable;
  ForEachUsableTarget([&](const Target& target) { usable.push_back(&target); });
  uint32_t outcomes[3] = {};
  Random random(2024);
  for (const Bytes& plan : SmallPlans()) {
    for (int i = 0; i < kMutantsPerPlan; ++i) {
      Bytes mutant = plan;
      for (uint32_t changes = random.Between(1, 3); changes > 0; --changes) {
        random.Chance(40) ? MutateByte(&mutant, ConstantsAt(plan), random)
                          : MutateField(&mutant, ConstantsAt(plan), random);
      }
      ++outcomes[static_cast<int>(Feed(mutant, *usable[static_cast<size_t>(i) % usable.size()]))];
    }
  }
  std::printf("    %u refused, %u ran, %u too large to run here\n", outcomes[0], outcomes[1], outcomes[2]);
  // Both outcomes must be frequent for the test to say anything about them.
  EXPECT(outcomes[0] > 4000 && outcomes[1] > 2000, "%u refused, %u ran", outcomes[0], outcomes[1]);
}

}  // namespace gapcam_test
