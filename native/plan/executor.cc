// Opens a plan: memory, constants, ops and threads; and runs it.
#include "executor.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bias.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace gapcam {
namespace {

// Address space of a block. Only the part that is allocated takes memory.
constexpr size_t kBlockBytes = size_t{16} << 20;
constexpr size_t kHugePage = size_t{2} << 20;  // if small pages have 4 KiB; the kernel refuses other sizes

size_t Align64(size_t bytes) { return (bytes + 63) / 64 * 64; }

// The size of a core's second-level cache as the kernel reports it. Otherwise 512 KiB, the smallest of the known
// boards.
size_t SecondLevelCache() {
  size_t kilobytes = 0;
  if (FILE* file = std::fopen("/sys/devices/system/cpu/cpu0/cache/index2/size", "re")) {
    if (std::fscanf(file, "%zuK", &kilobytes) != 1) kilobytes = 0;
    std::fclose(file);
  }
  return kilobytes >= 64 && kilobytes <= 65536 ? kilobytes * 1024 : 512 * 1024;
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)

// Under AddressSanitizer every allocation is a separate block, so that any access outside it is found.
SessionMemory::~SessionMemory() {
  for (const Block& block : blocks_) std::free(block.begin);
}

void* SessionMemory::Allocate(size_t bytes) {
  void* block = nullptr;
  if (posix_memalign(&block, 64, bytes ? bytes : 64) != 0) return nullptr;
  std::memset(block, 0, bytes ? bytes : 64);
  blocks_.push_back({block, bytes, nullptr});
  bytes_ += bytes;
  return block;
}

void SessionMemory::CollapsePages() {}

#else

SessionMemory::~SessionMemory() {
  stopping_.store(true);
  if (collapsing_.joinable()) collapsing_.join();
  for (const Block& block : blocks_) munmap(block.begin, block.size);
}

// Fresh pages are zero. They are populated here, all at once, rather than by page faults in the first frame, which take
// twice as long (EfficientNet-Lite0: 5.5 ms of the 37 ms to its first result).
void* SessionMemory::Allocate(size_t bytes) {
  const size_t wanted = Align64(bytes ? bytes : 1);
  if (wanted < bytes) return nullptr;
  const auto left = [](const Block& block) {
    return static_cast<size_t>(static_cast<uint8_t*>(block.begin) + block.size - block.end);
  };
  if (blocks_.empty() || wanted > left(blocks_.back())) {
    const size_t size = std::max(wanted, kBlockBytes);
    void* block = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) return nullptr;
    blocks_.push_back({block, size, static_cast<uint8_t*>(block)});
  }
  uint8_t* result = blocks_.back().end;
  blocks_.back().end += wanted;
  bytes_ += bytes;
  const size_t before = reinterpret_cast<uintptr_t>(result) % static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  if (madvise(result - before, wanted + before, MADV_POPULATE_WRITE) != 0) std::memset(result, 0, wanted);
  return result;
}

void SessionMemory::CollapsePages() {
  if (collapsing_.joinable()) return;
  collapsing_ = std::thread([this] {
    const sched_param lowest = {};
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &lowest);
    for (const Block& block : blocks_) {
      const auto first = (reinterpret_cast<uintptr_t>(block.begin) + kHugePage - 1) / kHugePage * kHugePage;
      for (uintptr_t page = first; page + kHugePage <= reinterpret_cast<uintptr_t>(block.end); page += kHugePage) {
        if (stopping_.load()) return;
        // A page that cannot be collapsed now stays small. EINVAL means that this kernel collapses none.
        if (madvise(reinterpret_cast<void*>(page), kHugePage, MADV_COLLAPSE) != 0 && errno == EINVAL) return;
      }
    }
  });
}

#endif

Status Executor::Open(const uint8_t* bytes, size_t size, const Target& target, uint32_t threads,
                      std::unique_ptr<Executor>* executor, const Constants* constants) {
  std::unique_ptr<Executor> made(new Executor(target, threads));
  Status status = ReadPlan(bytes, size, &made->plan_, constants ? &constants->chunks : nullptr);
  if (status.ok()) status = made->Prepare(constants);
  if (status.ok()) *executor = static_cast<std::unique_ptr<Executor>&&>(made);
  return status;
}

Status Executor::Prepare(const Constants* constants) {
  Status status = BindTensors();
  if (status.ok()) status = KeepConstants();
  if (status.ok()) status = MakeOps(constants);
  if (!status.ok()) return status;
  size_t scratch = 0;
  for (const Op* op : ops_) scratch = std::max(scratch, op->ScratchBytes());
  pool_.reset(new ThreadPool(threads_, scratch));
  return pool_->ok() ? Status::Ok()
                     : Status::Error("ENGINE_FAILED", "there is not enough memory for %u threads", threads_);
}

Status Executor::BindTensors() {
  auto* arena = static_cast<uint8_t*>(memory_.Allocate(plan_.arena_bytes));
  if (!arena)
    return Status::Error("ENGINE_FAILED", "there is not enough memory for an arena of %llu bytes",
                         static_cast<unsigned long long>(plan_.arena_bytes));
  refs_.reserve(plan_.tensors.size());
  for (const PlanTensor& tensor : plan_.tensors) {
    TensorRef ref = {};
    ref.data = tensor.is_constant ? nullptr : arena + tensor.offset;
    ref.type = tensor.type;
    std::memcpy(ref.dims, tensor.dims, sizeof(ref.dims));
    ref.rank = tensor.rank;
    ref.elements = tensor.elements;
    ref.constant = tensor.is_constant;
    ref.scale = tensor.scale;
    ref.zero_point = tensor.zero_point;
    refs_.push_back(ref);
  }
  return Status::Ok();
}

// A tensor is packed if every step that uses it rearranges it when its op is made, as the step table says, and it is
// not an output of the plan.
void Executor::FindPackedConstants() {
  is_packed_.assign(refs_.size(), true);
  for (const PlanStep& step : plan_.steps) {
    for (uint32_t i = 0; i < step.inputs.size(); ++i) {
      if (step.inputs[i] != kAbsent && step.shape().Input(i).use != TensorUse::kPacked)
        is_packed_[step.inputs[i]] = false;
    }
  }
  for (const PlanPort& port : plan_.outputs) is_packed_[port.tensor] = false;
}

// Copies the constants that ops read in place at run time, so that the plan's buffer can be freed.
Status Executor::KeepConstants() {
  FindPackedConstants();
  for (size_t id = 0; id < refs_.size(); ++id) {
    const PlanTensor& tensor = plan_.tensors[id];
    if (!tensor.is_constant || is_packed_[id]) continue;
    refs_[id].data = memory_.Allocate(tensor.bytes);
    if (!refs_[id].data) return Status::Error("ENGINE_FAILED", "there is not enough memory for the constants");
    std::memcpy(refs_[id].data, tensor.constant, tensor.bytes);
  }
  return Status::Ok();
}

// The weights of a model file begin at any byte. Ops pack them from an aligned staging buffer that holds those of one
// step at a time.
Status Executor::MakeOps(const Constants* constants) {
  size_t staging_bytes = 64;
  for (const PlanStep& step : plan_.steps) staging_bytes = std::max(staging_bytes, StagingBytes(step));
  void* block = nullptr;
  if (posix_memalign(&block, 64, staging_bytes) != 0)
    return Status::Error("ENGINE_FAILED", "there is not enough memory to pack the constants");
  const std::unique_ptr<void, void (*)(void*)> staging(block, std::free);
  const size_t cache_bytes = SecondLevelCache();
  for (const PlanStep& step : plan_.steps) {
    const std::vector<void*> kept = StageConstants(step, static_cast<uint8_t*>(block), constants);
    Status status = MakeOp(step, cache_bytes);
    if (!status.ok()) return status;
    for (uint32_t i = 0; i < step.inputs.size(); ++i)
      if (IsStaged(step, i)) refs_[step.inputs[i]].data = kept[i];
  }
  for (PlanTensor& tensor : plan_.tensors) tensor.constant = nullptr;
  return Status::Ok();
}

// Copies the constants that a step packs into the staging buffer, and releases them. Returns where each input was before.
std::vector<void*> Executor::StageConstants(const PlanStep& step, uint8_t* staging, const Constants* constants) {
  std::vector<void*> kept;
  for (uint32_t id : step.inputs) kept.push_back(id == kAbsent ? nullptr : refs_[id].data);
  for (uint32_t i = 0; i < step.inputs.size(); ++i) {
    if (!IsStaged(step, i)) continue;
    const PlanTensor& tensor = plan_.tensors[step.inputs[i]];
    std::memcpy(staging, tensor.constant, tensor.bytes);
    if (constants && constants->release) constants->release(tensor.constant, tensor.bytes);
    refs_[step.inputs[i]].data = staging;
    staging += Align64(tensor.bytes);
  }
  return kept;
}

Status Executor::MakeOp(const PlanStep& step, size_t cache_bytes) {
  std::vector<const TensorRef*> inputs, outputs;
  for (uint32_t id : step.inputs) inputs.push_back(id == kAbsent ? nullptr : &refs_[id]);
  for (uint32_t id : step.outputs) outputs.push_back(id == kAbsent ? nullptr : &refs_[id]);
  const StepRef ref = {step.kind,
                       step.name.c_str(),
                       step.params.data(),
                       inputs.data(),
                       static_cast<uint32_t>(inputs.size()),
                       outputs.data(),
                       static_cast<uint32_t>(outputs.size()),
                       threads_,
                       cache_bytes};
  LimitBiases(ref);
  const char* reason = "the target has no kernel for it";
  const Op* op = target_->make(ref, memory_, &reason);
  if (!op) return Status::Error("ENGINE_FAILED", "step %.80s: %s", step.name.c_str(), reason);
  ops_.push_back(op);
  return Status::Ok();
}

size_t Executor::StagingBytes(const PlanStep& step) const {
  size_t bytes = 0;
  for (uint32_t i = 0; i < step.inputs.size(); ++i)
    if (IsStaged(step, i)) bytes += Align64(plan_.tensors[step.inputs[i]].bytes);
  return bytes;
}

void Executor::Run() {
  const DenormalsOff denormals_off;
  for (const Op* op : ops_) pool_->Run(*op);
  pool_->Rest();
}

std::vector<double> Executor::Profile(uint32_t rounds) {
  using Clock = std::chrono::steady_clock;
  const DenormalsOff denormals_off;
  std::vector<double> least(ops_.size(), INFINITY);
  for (uint32_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < ops_.size(); ++i) {
      const Clock::time_point start = Clock::now();
      pool_->Run(*ops_[i]);
      least[i] = std::min(least[i], std::chrono::duration<double, std::nano>(Clock::now() - start).count());
    }
  }
  pool_->Rest();
  return least;
}

}  // namespace gapcam
