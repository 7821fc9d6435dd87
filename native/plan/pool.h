// ThreadPool: the threads that compute one session's steps. The calling thread is one of them. The others wait between
// phases: they spin for a short time and then sleep on a futex.
//
// A phase is divided into units that any thread may claim, so a thread that loses its core delays only the units it
// holds.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "../kernels/op.h"

namespace gapcam {

// One pause of a spinning thread, cheap for the other thread of its core.
void Pause();

// Treats denormal numbers as zero on this thread for the life of the scope, then restores the caller's setting. They
// make arithmetic a hundred times slower on some processors and are irrelevant to a network's result.
class DenormalsOff {
 public:
  DenormalsOff();
  ~DenormalsOff();

 private:
  uint64_t saved_;
};

class ThreadPool {
 public:
  // `threads` is at least 1 and includes the caller. Each thread gets scratch_bytes of scratch memory, aligned to 64.
  ThreadPool(uint32_t threads, size_t scratch_bytes);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  bool ok() const { return ok_; }  // false if memory was short; the pool must not run then
  // Runs every phase of an op and returns when it is done. One call at a time.
  void Run(const Op& op);
  // Tells waiting threads to sleep at once: there is no further op until the next frame.
  void Rest() { resting_.store(true, std::memory_order_relaxed); }

 private:
  void RunPhase(const Op& op, uint32_t phase);
  void Work(uint32_t worker, uint64_t ticket);
  void Loop(uint32_t worker);

  // (generation << 32) | next unit. A late thread fails to claim units of a phase that began after it last looked.
  std::atomic<uint64_t> claim_{0};
  std::atomic<uint32_t> generation_{0};  // futex word: increases for every phase, and when the pool ends
  std::atomic<uint32_t> pending_{0};     // futex word: units that are not finished
  std::atomic<uint32_t> waiting_{0};     // threads that sleep on generation_
  std::atomic<bool> caller_waits_{false};
  std::atomic<bool> resting_{true};
  std::atomic<bool> stopping_{false};
  // The current phase. Written before its generation is published.
  std::atomic<const Op*> op_{nullptr};
  std::atomic<uint32_t> phase_{0}, units_{0}, chunk_{1};

  std::vector<void*> scratch_;
  std::vector<std::thread> threads_;
  bool ok_ = true;
};

}  // namespace gapcam
