// Launches. The driver checks them when they are made, and runs them when the program waits for their stream.
#include <sys/mman.h>

#include <cstddef>
#include <cstring>

#include "../emulator/emulator.h"
#include "state.h"

namespace gapcam::cuda::fake {
namespace {

// The number of Buffers at the start of a kernel's parameters.
template <typename Params>
constexpr uint32_t kBuffers = 0;
template <>
constexpr uint32_t kBuffers<ConvParams> = offsetof(ConvParams, pixels) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<SplitSumParams> = offsetof(SplitSumParams, elements) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<DenseRowParams> = offsetof(DenseRowParams, rows) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<ProductKernelParams> = offsetof(ProductKernelParams, rows) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<DepthwiseParams> = offsetof(DepthwiseParams, slide) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<PoolParams> = offsetof(PoolParams, slide) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<LineParams> = offsetof(LineParams, op) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<LrnKernelParams> = offsetof(LrnKernelParams, lrn) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<ElementwiseKernelParams> = offsetof(ElementwiseKernelParams, elements) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<BinaryKernelParams> = offsetof(BinaryKernelParams, op) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<CopyKernelParams> = offsetof(CopyKernelParams, dims) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<FillParams> = offsetof(FillParams, value) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<ConcatKernelParams> = offsetof(ConcatKernelParams, in_first) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<ResampleKernelParams> = offsetof(ResampleKernelParams, in_length) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<ConvertParams> = offsetof(ConvertParams, elements) / sizeof(Buffer);
template <>
constexpr uint32_t kBuffers<PixelParams> = offsetof(PixelParams, format) / sizeof(Buffer);

constexpr uint32_t kBufferCounts[] = {
#define GAPCAM_CUDA_KERNEL(name, params, precision, threads, first_sm, last_sm) kBuffers<params>,
#include "../kernels.def"
#undef GAPCAM_CUDA_KERNEL
};

bool IsAllocated(const Buffer& buffer) {
  const auto& allocations = TheState().allocations;
  auto at = allocations.upper_bound(buffer.address);
  if (at == allocations.begin()) return false;
  --at;
  return buffer.address + uint64_t{buffer.elements} * buffer.element_bytes <= at->first + at->second.bytes;
}

// FNV-1a over words of 8 bytes.
constexpr uint64_t kHashSeed = 1469598103934665603u, kHashPrime = 1099511628211u;
uint64_t Hash(const Allocation& allocation) {
  uint64_t hash = kHashSeed;
  for (size_t i = 0; i + 8 <= allocation.bytes; i += 8) {
    uint64_t word;
    std::memcpy(&word, allocation.begin + i, 8);
    hash = (hash ^ word) * kHashPrime;
  }
  return hash;
}

// The hash of each block of mapped memory, and of all blocks together.
std::vector<uint64_t> HashMapped(uint64_t* all) {
  *all = kHashSeed;
  std::vector<uint64_t> each;
  for (const auto& [address, allocation] : TheState().allocations) {
    if (!allocation.is_mapped) continue;
    each.push_back(Hash(allocation));
    *all = (*all ^ each.back()) * kHashPrime;
  }
  return each;
}

Result RunWork(const std::vector<Work>& list) {
  State& state = TheState();
  for (const Work& work : list) {
    ++state.launches;
    const Status status = emulator::RunLaunch(work.kernel, work.grid, work.block, work.params.data(),
                                              static_cast<uint32_t>(work.params.size()));
    if (status.ok()) continue;
    Violation("kernel %s: %s", kKernels[static_cast<uint32_t>(work.kernel)].name, status.message());
    return state.lost = kLaunchFailed;
  }
  return 0;
}

}  // namespace

Result CheckLaunch(const FunctionObject& function, const Work& work) {
  const uint32_t id = static_cast<uint32_t>(function.kernel);
  const KernelRow& row = kKernels[id];
  const uint64_t threads = uint64_t{work.block[0]} * work.block[1] * work.block[2];
  if (threads == 0 || !work.grid[0] || !work.grid[1] || !work.grid[2] || work.grid[1] > 65535 || work.grid[2] > 65535) {
    Violation("%s is launched with grid %u %u %u and block %u %u %u", row.name, work.grid[0], work.grid[1],
              work.grid[2], work.block[0], work.block[1], work.block[2]);
    return kInvalidValue;
  }
  if (threads != row.threads) {
    Violation("%s is launched with %llu threads instead of %u", row.name, static_cast<unsigned long long>(threads),
              row.threads);
    return kTooManyResources;
  }
  for (uint32_t i = 0; i < kBufferCounts[id]; ++i) {
    Buffer buffer;
    std::memcpy(&buffer, work.params.data() + i * sizeof(Buffer), sizeof(buffer));
    if (buffer.elements == 0 || IsAllocated(buffer)) continue;
    // A real driver would accept the launch, and the kernel would fail.
    Violation("%s: its buffer %u (%u elements of %u bytes) is not inside an allocation", row.name, i, buffer.elements,
              buffer.element_bytes);
  }
  return 0;
}

void SpoilOutputs() {
  for (const auto& [address, allocation] : TheState().allocations) {
    if (!allocation.is_written) continue;
    for (size_t i = 0; i + 4 <= allocation.bytes; i += 4) {
      const float value = static_cast<float>(i % 28);
      std::memcpy(allocation.begin + i, &value, 4);
    }
  }
}

void FinishUploads() {
  State& state = TheState();
  for (const Upload& upload : state.uploads) {
    const Allocation& allocation = state.allocations.at(upload.to);
    Protect(allocation, true);
    std::memcpy(allocation.begin, upload.bytes.data(), upload.bytes.size());
    Protect(allocation, false);
  }
  state.uploads.clear();
}

// The program can access device memory only while kernels run on it; mapped memory always.
void Protect(const Allocation& allocation, bool is_device_running) {
  if (!allocation.is_mapped)
    mprotect(allocation.begin, allocation.bytes, is_device_running ? PROT_READ | PROT_WRITE : PROT_NONE);
}

Result Drain(StreamObject* stream) {
  State& state = TheState();
  if (stream->queue.empty() || state.lost) return state.lost;
  if (!state.uploads.empty()) Violation("kernels run while a copy to the device may still be under way");
  for (const auto& entry : state.allocations) Protect(entry.second, true);
  Result result = 0;
  for (const Queued& queued : stream->queue) {
    uint64_t before = 0, after = 0;
    const std::vector<uint64_t> each_before = HashMapped(&before);
    if (state.has_memo && queued.graph && queued.graph->memo == before) {
      ++state.memo_hits;
      continue;
    }
    result = RunWork(queued.work);
    if (result != 0) break;
    const std::vector<uint64_t> each_after = HashMapped(&after);
    size_t i = 0;
    for (auto& entry : state.allocations) {
      if (!entry.second.is_mapped) continue;
      if (queued.graph && each_before[i] != each_after[i]) entry.second.is_written = true;
      ++i;
    }
    if (queued.graph) queued.graph->memo = after;
    if (queued.graph && state.is_wrong) SpoilOutputs();
  }
  stream->queue.clear();
  for (const auto& entry : state.allocations) Protect(entry.second, false);
  return result;
}

}  // namespace gapcam::cuda::fake
