// Executor: a plan made ready for one target (constants packed, memory taken) and run for every frame.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "../kernels/op.h"
#include "plan.h"
#include "pool.h"

namespace gapcam {

// Memory of one session: zeroed, 64-byte aligned, given back all at once.
class SessionMemory final : public Allocator {
 public:
  ~SessionMemory();
  void* Allocate(size_t bytes) override;
  size_t bytes() const { return bytes_; }

  // Asks the kernel, from a thread of the lowest priority, to put small pages together into huge ones: weights that are
  // read from end to end then miss fewer translations (ResNet18: 5 % of its time). What lies in them stays as it is.
  // Once all memory has been allocated.
  void CollapsePages();

 private:
  struct Block {
    void* begin;
    size_t size;
    uint8_t* end;  // of what is in use
  };

  std::vector<Block> blocks_;
  size_t bytes_ = 0;
  std::thread collapsing_;
  std::atomic<bool> stopping_{false};
};

// The constants of a plan that comes without them, in the order of their offsets. `release` is told of values that are
// no longer needed, so that a mapped file's pages may go while the rest is still being packed.
struct Constants {
  std::vector<ConstantChunk> chunks;
  std::function<void(const void* bytes, size_t size)> release;
};

class Executor {
 public:
  // Reads and validates the plan, packs its constants and takes all memory that a run needs. `bytes` and what `constants`
  // points at may go afterwards.
  static Status Open(const uint8_t* bytes, size_t size, const Target& target, uint32_t threads,
                     std::unique_ptr<Executor>* executor, const Constants* constants = nullptr);

  // Computes the outputs from the inputs. No allocation, no system call but futex. One call at a time.
  void Run();

  // For a session that will run often; see SessionMemory.
  void CollapsePages() { memory_.CollapsePages(); }

  const Plan& plan() const { return plan_; }
  const Target& target() const { return *target_; }
  uint32_t threads() const { return threads_; }
  size_t packed_bytes() const { return memory_.bytes(); }
  size_t step_count() const { return ops_.size(); }
  const Op& op(size_t step) const { return *ops_[step]; }
  void* data(uint32_t tensor) const { return refs_[tensor].data; }

  // Runs the plan `rounds` times and notes the least nanoseconds of each step. Allocates; Run() is the frame's way.
  std::vector<double> Profile(uint32_t rounds);

 private:
  Executor(const Target& target, uint32_t threads) : target_(&target), threads_(threads) {}
  Status Prepare(const Constants* constants);
  Status BindTensors();
  Status KeepConstants();
  Status MakeOps(const Constants* constants);
  size_t StagingBytes(const PlanStep& step) const;

  const Target* target_;
  uint32_t threads_;
  Plan plan_;
  SessionMemory memory_;
  std::vector<TensorRef> refs_;
  std::vector<bool> is_packed_;  // constants that no op reads once it is made
  std::vector<const Op*> ops_;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace gapcam
