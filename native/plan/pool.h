// ThreadPool: the threads that compute one session's steps. The caller is one of them; the others wait between
// phases, spinning for a short while and then on a futex.
//
// A phase is cut into units that any thread may claim, so a thread that lost its core delays only the unit it holds.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "../kernels/op.h"

namespace gapcam {

// What a thread does while it looks out for another one: nothing, and that cheaply.
void Pause();

// Denormal numbers cost a hundredfold on some processors and mean nothing in a network: they are zero on the threads
// that compute. The caller's own setting comes back at the end of the scope.
class DenormalsOff {
 public:
  DenormalsOff();
  ~DenormalsOff();

 private:
  uint64_t saved_;
};

class ThreadPool {
 public:
  // threads >= 1 counts the caller. scratch_bytes is what each thread gets for an op's scratch.
  ThreadPool(uint32_t threads, size_t scratch_bytes);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  bool ok() const { return ok_; }
  // Runs every phase of an op; returns when all of it is done. Called by one thread at a time.
  void Run(const Op& op);
  // Between frames: threads that wait for the next one stop spinning.
  void Rest() { resting_.store(true, std::memory_order_relaxed); }

 private:
  void RunPhase(const Op& op, uint32_t phase);
  void Work(uint32_t worker, uint64_t ticket);
  void Loop(uint32_t worker);

  // A claim is (generation << 32) | next unit, so that a late thread cannot take units of a phase it does not know.
  std::atomic<uint64_t> claim_{0};
  std::atomic<uint32_t> generation_{0};  // futex word: a new phase, or the end
  std::atomic<uint32_t> pending_{0};     // futex word: units not finished yet
  std::atomic<uint32_t> waiting_{0};     // threads asleep on generation_
  std::atomic<bool> caller_waits_{false};
  std::atomic<bool> resting_{true};
  std::atomic<bool> stopping_{false};
  // What the current generation runs; written before the generation is published.
  std::atomic<const Op*> op_{nullptr};
  std::atomic<uint32_t> phase_{0}, units_{0}, chunk_{1};

  std::vector<void*> scratch_;
  std::vector<std::thread> threads_;
  bool ok_ = true;
};

}  // namespace gapcam
