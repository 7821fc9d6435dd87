// Claims, futexes and denormals; see pool.h.
#include "pool.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace gapcam {
namespace {

// About 20 µs: longer than the gap between two steps, much shorter than a time slice of the scheduler.
constexpr int kSpins = 2000;

void FutexWait(std::atomic<uint32_t>* word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void FutexWake(std::atomic<uint32_t>* word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

}  // namespace

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#if defined(__x86_64__)
DenormalsOff::DenormalsOff() : saved_(_mm_getcsr()) { _mm_setcsr(static_cast<uint32_t>(saved_) | 0x8040); }  // FTZ, DAZ
DenormalsOff::~DenormalsOff() { _mm_setcsr(static_cast<uint32_t>(saved_)); }
#elif defined(__aarch64__)
DenormalsOff::DenormalsOff() {
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
  __asm__ volatile("msr fpcr, %0" : : "r"(saved_ | (1u << 24)));  // FZ
}
DenormalsOff::~DenormalsOff() { __asm__ volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
DenormalsOff::DenormalsOff() : saved_(0) {}
DenormalsOff::~DenormalsOff() = default;
#endif

ThreadPool::ThreadPool(uint32_t threads, size_t scratch_bytes) : scratch_(threads, nullptr) {
  for (void*& scratch : scratch_) {
    if (posix_memalign(&scratch, 64, scratch_bytes + 64) != 0) {
      scratch = nullptr;
      ok_ = false;
    }
  }
  for (uint32_t worker = 1; ok_ && worker < threads; ++worker) threads_.emplace_back([this, worker] { Loop(worker); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  generation_.fetch_add(1);
  FutexWake(&generation_, 1 << 30);
  for (std::thread& thread : threads_) thread.join();
  for (void* scratch : scratch_) std::free(scratch);
}

void ThreadPool::Run(const Op& op) {
  resting_.store(false, std::memory_order_relaxed);
  const uint32_t phases = op.Phases();
  for (uint32_t phase = 0; phase < phases; ++phase) RunPhase(op, phase);
}

void ThreadPool::RunPhase(const Op& op, uint32_t phase) {
  const uint32_t units = op.Units(phase);
  if (threads_.empty() || units == 1) {
    op.Run(phase, 0, units, scratch_[0]);
    return;
  }
  // A claim takes a quarter of a thread's equal share: claims are few, and the last one is short.
  const uint32_t chunk = units / (4 * static_cast<uint32_t>(scratch_.size()));
  const uint32_t generation = generation_.load(std::memory_order_relaxed) + 1;
  // Close the previous phase first. A late thread that reads any of the new values below can then no longer claim.
  claim_.store(uint64_t{generation} << 32 | UINT32_MAX, std::memory_order_relaxed);
  op_.store(&op, std::memory_order_release);
  phase_.store(phase, std::memory_order_release);
  units_.store(units, std::memory_order_release);
  chunk_.store(chunk ? chunk : 1, std::memory_order_release);
  pending_.store(units, std::memory_order_relaxed);
  claim_.store(uint64_t{generation} << 32, std::memory_order_release);
  generation_.store(generation, std::memory_order_seq_cst);
  if (waiting_.load(std::memory_order_seq_cst) > 0) FutexWake(&generation_, 1 << 30);

  Work(0, generation);
  for (int spin = 0; spin < kSpins && pending_.load(std::memory_order_acquire) != 0; ++spin) Pause();
  for (;;) {
    uint32_t left = pending_.load(std::memory_order_acquire);
    if (left == 0) break;
    caller_waits_.store(true, std::memory_order_seq_cst);
    left = pending_.load(std::memory_order_seq_cst);
    if (left != 0) FutexWait(&pending_, left);
    caller_waits_.store(false, std::memory_order_relaxed);
  }
}

void ThreadPool::Work(uint32_t worker, uint64_t generation) {
  for (;;) {
    uint64_t claim = claim_.load(std::memory_order_acquire);
    if (claim >> 32 != generation) return;
    const Op* op = op_.load(std::memory_order_acquire);
    const uint32_t phase = phase_.load(std::memory_order_acquire), units = units_.load(std::memory_order_acquire);
    const uint32_t first = static_cast<uint32_t>(claim), chunk = chunk_.load(std::memory_order_acquire);
    if (first >= units) return;
    const uint32_t last = units - first > chunk ? first + chunk : units;
    // This succeeds only while the claim is of this generation. RunPhase closes it before it changes the values read
    // above.
    if (!claim_.compare_exchange_weak(claim, (generation << 32) | last, std::memory_order_acq_rel)) continue;
    op->Run(phase, first, last, scratch_[worker]);
    if (pending_.fetch_sub(last - first, std::memory_order_seq_cst) == last - first && worker != 0 &&
        caller_waits_.load(std::memory_order_seq_cst)) {
      FutexWake(&pending_, 1);
    }
  }
}

void ThreadPool::Loop(uint32_t worker) {
  const DenormalsOff denormals_off;
  uint32_t known = 0;
  for (;;) {
    for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == known &&
                       !resting_.load(std::memory_order_relaxed);
         ++spin)
      Pause();
    while (generation_.load(std::memory_order_seq_cst) == known) {
      waiting_.fetch_add(1, std::memory_order_seq_cst);
      FutexWait(&generation_, known);
      waiting_.fetch_sub(1, std::memory_order_seq_cst);
    }
    known = generation_.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    Work(worker, known);
  }
}

}  // namespace gapcam
