// The thread pool computes every unit of every phase exactly once, for any number of threads and phases of any size.
// ThreadSanitizer watches the same tests in a build of its own.
#include <atomic>
#include <thread>
#include <vector>

#include "../plan/pool.h"
#include "check.h"
#include "random.h"

namespace gapcam_test {
namespace {

// An op that counts its runs. Odd phases read what the neighbouring unit wrote in the even phase before, as a fused
// mean does.
class Counting final : public gapcam::Op {
 public:
  Counting(uint32_t phases, uint32_t units) : phases_(phases), cells_(units, 0), sums_(units, 0) {}

  uint32_t Phases() const override { return phases_; }
  uint32_t Units(uint32_t) const override { return static_cast<uint32_t>(cells_.size()); }
  const char* Kernel() const override { return "counting"; }
  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    *static_cast<uint32_t*>(scratch) = phase;  // ThreadSanitizer reports a race if two threads share it
    for (uint32_t unit = first; unit < last; ++unit) {
      if (phase % 2 == 0)
        ++cells_[unit];
      else
        sums_[unit] += cells_[(unit + 1) % cells_.size()];
    }
  }

  // The first cell that was not computed exactly once per phase and round, or -1.
  int64_t Wrong(uint32_t rounds) const {
    const uint32_t even = (phases_ + 1) / 2, odd = phases_ / 2;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; ++round) {
      for (uint32_t i = 1; i <= odd; ++i) sum += round * even + i;
    }
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i] != rounds * even || sums_[i] != sum) return static_cast<int64_t>(i);
    }
    return -1;
  }

 private:
  uint32_t phases_;
  mutable std::vector<uint32_t> cells_, sums_;  // plain memory, so a unit that two threads claim is a race
};

// Runs short ops of changing sizes, many times: this finds a late thread that claims units of the next phase.
void Hammer(uint32_t threads, uint32_t rounds) {
  Random random(threads);
  std::vector<Counting> ops;
  for (uint32_t units : {2u, 31u, 3u, 200u, 5u, 1u, 64u, 7u}) ops.emplace_back(random.Between(1, 4), units);
  gapcam::ThreadPool pool(threads, 64);
  EXPECT(pool.ok(), "no pool of %u threads", threads);
  for (uint32_t round = 0; round < rounds; ++round) {
    for (const Counting& op : ops) pool.Run(op);
    if (round % 16 == 0) pool.Rest();
  }
  for (size_t i = 0; i < ops.size(); ++i)
    EXPECT(ops[i].Wrong(rounds) < 0, "%u threads: op %zu is wrong at unit %lld", threads, i,
           static_cast<long long>(ops[i].Wrong(rounds)));
}

}  // namespace

TEST("one thread computes every unit once") { Hammer(1, 50); }
TEST("two threads compute every unit once") { Hammer(2, 3000); }
TEST("three threads compute every unit once") { Hammer(3, 1000); }
TEST("four threads compute every unit once") { Hammer(4, 1000); }
TEST("eight threads compute every unit once, with fewer cores than threads too") { Hammer(8, 300); }

TEST("a pool that never ran ends without delay") {
  for (uint32_t threads = 1; threads <= 8; ++threads) {
    const gapcam::ThreadPool pool(threads, 0);
    EXPECT(pool.ok(), "no pool of %u threads", threads);
  }
}

TEST("two pools run at the same time without disturbing each other") {
  std::thread other([] { Hammer(3, 300); });
  Hammer(2, 300);
  other.join();
}

TEST("denormal numbers are zero inside a DenormalsOff scope and return to normal after it") {
  volatile float tiny = 1e-38f;
  {
    const gapcam::DenormalsOff off;
    EXPECT(tiny * 0.1f == 0, "1e-39 is not flushed");
  }
  EXPECT(tiny * 0.1f != 0, "1e-39 is still flushed");
}

}  // namespace gapcam_test
