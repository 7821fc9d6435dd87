// The frame loop: once a session is open, an inference allocates nothing and makes no system call except futex.
#include "../bench/frame_calls.h"
#include "../plan/executor.h"
#include "cases.h"
#include "check.h"

namespace gapcam_test {
namespace {

constexpr int kCasesPerKind = 4;
constexpr uint32_t kFrames = 3;

// Counts the calls of each kind of step in a few shapes, on one thread and on two.
template <typename Check>
void ForEachLoop(const Check& check) {
  const char* reason = "";
  const gapcam::Target* target = gapcam::ChooseTarget(nullptr, &reason);
  Random random(77);
  for (uint32_t kind = 0; target && kind < kCommonKindCount; ++kind) {
    for (int i = 0; i < kCasesPerKind; ++i) {
      const Case drawn = DrawCase(static_cast<gapcam::StepKind>(kind), random);
      std::vector<uint32_t> inputs, outputs;
      const std::vector<uint8_t> plan = BuildPlan(drawn, &inputs, &outputs).Build();
      for (uint32_t threads = 1; threads <= 2; ++threads) {
        const gapcam_bench::FrameCalls calls =
            gapcam_bench::CountFrameCalls(plan.data(), plan.size(), *target, threads, kFrames);
        EXPECT(calls.ok, "%s did not run", drawn.Describe().c_str());
        check(drawn, threads, calls);
      }
    }
  }
}

}  // namespace

TEST("an inference of any step allocates nothing, on one thread and on two") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return Skip("a sanitizer replaces the allocator");
#endif
  ForEachLoop([](const Case& drawn, uint32_t threads, const gapcam_bench::FrameCalls& calls) {
    EXPECT(calls.allocations == 0, "%lld allocations on %u threads: %s", static_cast<long long>(calls.allocations),
           threads, drawn.Describe().c_str());
  });
}

TEST("an inference of any step makes no system call except futex, on one thread and on two") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return Skip("a sanitizer makes system calls itself");
#endif
  ForEachLoop([](const Case& drawn, uint32_t threads, const gapcam_bench::FrameCalls& calls) {
    if (calls.system_calls < 0) return Skip("this system has no seccomp filter, for example under an emulator");
    EXPECT(calls.system_calls == 0, "%lld system calls on %u threads: %s", static_cast<long long>(calls.system_calls),
           threads, drawn.Describe().c_str());
  });
}

}  // namespace gapcam_test
