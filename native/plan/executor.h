// Executor: a plan made ready for one target, with its constants packed and its memory taken, that runs for every
// frame.
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

// The memory of one session: zeroed, aligned to 64 bytes, freed all at once.
class SessionMemory final : public Allocator {
 public:
  ~SessionMemory();
  void* Allocate(size_t bytes) override;
  size_t bytes() const { return bytes_; }

  // Asks the kernel to replace small pages by huge ones, from a thread of the lowest priority. Weights that are read
  // from end to end then cause fewer translation misses (ResNet18: 5 % of its time). The contents do not change. Call
  // it after the last Allocate; a second call does nothing.
  void CollapsePages();

 private:
  struct Block {
    void* begin;
    size_t size;
    uint8_t* end;  // of the part in use
  };

  std::vector<Block> blocks_;
  size_t bytes_ = 0;
  std::thread collapsing_;
  std::atomic<bool> stopping_{false};
};

// The constants of a plan whose buffer ends before them, ordered by offset. If set, `release` is called with values
// that are no longer needed, so that pages of a mapped file can be dropped while the rest is still being packed.
struct Constants {
  std::vector<ConstantChunk> chunks;
  std::function<void(const void* bytes, size_t size)> release;
};

// A session's plan, ops and memory. Not thread-safe: one call at a time.
class Executor {
 public:
  // Reads and checks the plan, packs its constants and takes all memory that a run needs. `bytes` and the memory that
  // `constants` points to may be freed afterwards. Returns MODEL_INVALID for a wrong plan, and ENGINE_FAILED if the
  // target cannot compute a step or memory is short.
  static Status Open(const uint8_t* bytes, size_t size, const Target& target, uint32_t threads,
                     std::unique_ptr<Executor>* executor, const Constants* constants = nullptr);

  // Computes the outputs from the inputs. It allocates nothing, and futex is the only system call.
  void Run();

  // Worthwhile for a session that will run often; see SessionMemory.
  void CollapsePages() { memory_.CollapsePages(); }

  const Plan& plan() const { return plan_; }
  const Target& target() const { return *target_; }
  uint32_t threads() const { return threads_; }
  size_t packed_bytes() const { return memory_.bytes(); }
  size_t step_count() const { return ops_.size(); }
  const Op& op(size_t step) const { return *ops_[step]; }
  // A tensor's memory, valid as long as the executor; null for a constant that is packed.
  void* data(uint32_t tensor) const { return refs_[tensor].data; }

  // Runs the plan `rounds` times and returns the lowest time of each step in nanoseconds. For profiles: it allocates.
  std::vector<double> Profile(uint32_t rounds);

 private:
  Executor(const Target& target, uint32_t threads) : target_(&target), threads_(threads) {}
  Status Prepare(const Constants* constants);
  Status BindTensors();
  void FindPackedConstants();
  Status KeepConstants();
  Status MakeOps(const Constants* constants);
  Status MakeOp(const PlanStep& step, size_t cache_bytes);
  std::vector<void*> StageConstants(const PlanStep& step, uint8_t* staging, const Constants* constants);
  size_t StagingBytes(const PlanStep& step) const;
  // Whether a step gets its own copy of input `i` when its op is made.
  static bool IsStaged(const PlanStep& step, uint32_t i) {
    return step.inputs[i] != kAbsent && step.shape().Input(i).use == TensorUse::kPacked;
  }

  const Target* target_;
  uint32_t threads_;
  Plan plan_;
  SessionMemory memory_;
  std::vector<TensorRef> refs_;
  std::vector<bool> is_packed_;  // by tensor: no op reads it at run time
  std::vector<const Op*> ops_;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace gapcam
