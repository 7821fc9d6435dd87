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

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace gapcam {
namespace {

// Of address space, of which only what is allocated takes memory.
constexpr size_t kBlockBytes = size_t{16} << 20;
constexpr size_t kHugePage = size_t{2} << 20;  // with small ones of 4 KiB; the kernel refuses where they are not

size_t Align64(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Of a core's second-level cache, as the kernel tells it; 512 KiB where it does not, the least of the boards.
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

// Each in a block of its own, so that the sanitizer sees whoever leaves it.
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

// Fresh pages are zero. They are asked for all at once, here and not in the first frame: a fault for each would cost twice
// the time (EfficientNet-Lite0: 5.5 ms of 37 until its first result).
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
        // A page that cannot be made now is left as it is; a kernel that makes none is not asked again.
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
    TensorRef ref = {
        tensor.is_constant ? nullptr : arena + tensor.offset, {}, tensor.rank, tensor.elements, tensor.is_constant};
    std::memcpy(ref.dims, tensor.dims, sizeof(ref.dims));
    refs_.push_back(ref);
  }
  return Status::Ok();
}

// Convolutions, dense layers and chains pack their weights and biases; any other constant is read in place at run time,
// and is copied here so that the plan's buffer need not stay.
Status Executor::KeepConstants() {
  is_packed_.assign(refs_.size(), true);
  for (const PlanStep& step : plan_.steps) {
    // The packed ones are the weights and biases that follow the first input.
    const size_t packed = step.kind == StepKind::kConv2d || step.kind == StepKind::kDense ? 2
                          : step.kind == StepKind::kChain                                 ? 6
                                                                                          : 0;
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      if (step.inputs[i] != kAbsent && !(i >= 1 && i <= packed)) is_packed_[step.inputs[i]] = false;
    }
  }
  for (const PlanPort& port : plan_.outputs) is_packed_[port.tensor] = false;
  for (size_t id = 0; id < refs_.size(); ++id) {
    const PlanTensor& tensor = plan_.tensors[id];
    if (!tensor.is_constant || is_packed_[id]) continue;
    refs_[id].data = memory_.Allocate(tensor.bytes);
    if (!refs_[id].data) return Status::Error("ENGINE_FAILED", "there is not enough memory for the constants");
    std::memcpy(refs_[id].data, tensor.constant, tensor.bytes);
  }
  return Status::Ok();
}

// A model file's weights begin at any byte; ops pack them from an aligned copy that holds one step's at a time.
Status Executor::MakeOps(const Constants* constants) {
  size_t staging_bytes = 64;
  for (const PlanStep& step : plan_.steps) staging_bytes = std::max(staging_bytes, StagingBytes(step));
  void* block = nullptr;
  if (posix_memalign(&block, 64, staging_bytes) != 0)
    return Status::Error("ENGINE_FAILED", "there is not enough memory to pack the constants");
  const std::unique_ptr<void, void (*)(void*)> staging(block, std::free);
  const size_t cache_bytes = SecondLevelCache();
  std::vector<const TensorRef*> inputs, outputs;
  for (const PlanStep& step : plan_.steps) {
    auto* to = static_cast<uint8_t*>(block);
    for (uint32_t id : step.inputs) {
      if (id == kAbsent || !refs_[id].constant || !is_packed_[id]) continue;
      std::memcpy(to, plan_.tensors[id].constant, plan_.tensors[id].bytes);
      if (constants && constants->release) constants->release(plan_.tensors[id].constant, plan_.tensors[id].bytes);
      refs_[id].data = to;
      to += Align64(plan_.tensors[id].bytes);
    }
    inputs.clear();
    outputs.clear();
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
    const char* reason = "the target has no kernel for it";
    const Op* op = target_->make(ref, memory_, &reason);
    if (!op) return Status::Error("ENGINE_FAILED", "step %.80s: %s", step.name.c_str(), reason);
    ops_.push_back(op);
    for (uint32_t id : step.inputs)
      if (id != kAbsent && refs_[id].constant && is_packed_[id]) refs_[id].data = nullptr;
  }
  for (PlanTensor& tensor : plan_.tensors) tensor.constant = nullptr;
  return Status::Ok();
}

size_t Executor::StagingBytes(const PlanStep& step) const {
  size_t bytes = 0;
  for (uint32_t id : step.inputs)
    if (id != kAbsent && refs_[id].constant && is_packed_[id]) bytes += Align64(plan_.tensors[id].bytes);
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
