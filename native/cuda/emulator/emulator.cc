#include "emulator.h"

#include <cstdio>
#include <map>
#include <mutex>

#include "block.h"
#include "device.h"

// The kernels, compiled as C++.
#include "../kernels/kernels.cu"

namespace gapcam {
namespace cuda {
namespace emulator {
namespace {

using Run = void (*)(const void* params);
const Run kRuns[] = {
#define GAPCAM_CUDA_KERNEL(name, Params, precision, threads, first_sm, last_sm) \
  [](const void* params) { name(*static_cast<const Params*>(params)); },
#include "../kernels.def"
#undef GAPCAM_CUDA_KERNEL
};

std::mutex launch_lock;
std::map<uint64_t, uint64_t> regions;  // begin → end
bool is_reversed_order;

// A cache of buffers that were found to be registered: all threads of a launch check the same ones.
struct Known {
  uint64_t begin, bytes;
};
Known known[8];
uint32_t known_count;

}  // namespace

void AddRegion(const void* begin, uint64_t bytes) {
  const std::lock_guard<std::mutex> guard(launch_lock);
  regions[reinterpret_cast<uint64_t>(begin)] = reinterpret_cast<uint64_t>(begin) + bytes;
}

void RemoveRegion(const void* begin) {
  const std::lock_guard<std::mutex> guard(launch_lock);
  regions.erase(reinterpret_cast<uint64_t>(begin));
}

void ReverseBlocks(bool is_reversed) {
  const std::lock_guard<std::mutex> guard(launch_lock);
  is_reversed_order = is_reversed;
}

bool IsRegistered(uint64_t begin, uint64_t bytes) {
  for (uint32_t i = 0; i < known_count; ++i)
    if (known[i].begin == begin && known[i].bytes == bytes) return true;
  auto after = regions.upper_bound(begin);
  if (after == regions.begin()) return false;
  const uint64_t end = (--after)->second;
  if (begin > end || bytes > end - begin) return false;
  known[known_count < 8 ? known_count++ : 7] = {begin, bytes};
  return true;
}

Status RunLaunch(KernelId kernel, const uint32_t (&grid)[3], const uint32_t (&block)[3], const void* params,
                 uint32_t param_bytes) {
  const auto id = static_cast<uint32_t>(kernel);
  if (id >= kKernelCount) return Status::Error("ENGINE_FAILED", "there is no kernel %u", id);
  const KernelRow& row = kKernels[id];
  const uint64_t threads = uint64_t{block[0]} * block[1] * block[2];
  if (param_bytes != row.param_bytes)
    return Status::Error("ENGINE_FAILED", "%s takes %u bytes of parameters and got %u", row.name, row.param_bytes,
                         param_bytes);
  if (threads != row.threads)
    return Status::Error("ENGINE_FAILED", "%s has blocks of %u threads and got %llu", row.name, row.threads,
                         static_cast<unsigned long long>(threads));
  if (!grid[0] || !grid[1] || !grid[2] || grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535)
    return Status::Error("ENGINE_FAILED", "%s has a grid of invalid size", row.name);
  return RunKernel(row.name, kRuns[id], grid, block, params);
}

Status RunKernel(const char* name, void (*kernel)(const void*), const uint32_t (&grid)[3], const uint32_t (&block)[3],
                 const void* params) {
  const std::lock_guard<std::mutex> guard(launch_lock);
  known_count = 0;
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  const uint64_t blocks = uint64_t{grid[0]} * grid[1] * grid[2];
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t at = is_reversed_order ? blocks - 1 - i : i;
    blockIdx = {static_cast<uint32_t>(at % grid[0]), static_cast<uint32_t>(at / grid[0] % grid[1]),
                static_cast<uint32_t>(at / grid[0] / grid[1])};
    char message[200];
    if (RunBlock(kernel, params, block[0] * block[1] * block[2], message)) continue;
    return Status::Error("ENGINE_FAILED", "%s, block (%u, %u, %u): %.160s", name, blockIdx.x, blockIdx.y, blockIdx.z,
                         message);
  }
  return Status::Ok();
}

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
