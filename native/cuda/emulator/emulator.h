// The host emulation of the kernels: the very same .cu sources compiled as C++ against device.h beside this file. Blocks
// run one after the other, a block's threads as fibers that change places at barriers and warp operations.
//
// It finds what a GPU would hide: accesses outside a buffer or outside registered memory, shared memory that is read
// before it was written or that threads race for, barriers that not all threads reach, and misaligned vectors.
#pragma once
#include <cstdint>

#include "../program.h"

namespace gapcam {
namespace cuda {
namespace emulator {

// Memory that kernels may touch: what a driver allocated. Buffers of a launch must lie inside one region.
void AddRegion(const void* begin, uint64_t bytes);
void RemoveRegion(const void* begin);

// Runs one launch to its end. `params` are bound, param_bytes long. An error has the first fault in one sentence, and the
// launch then stopped there. One launch at a time in a process: others wait.
Status RunLaunch(KernelId kernel, const uint32_t (&grid)[3], const uint32_t (&block)[3], const void* params,
                 uint32_t param_bytes);

// The same for any function written as a kernel: tests have wrong ones.
Status RunKernel(const char* name, void (*kernel)(const void* params), const uint32_t (&grid)[3],
                 const uint32_t (&block)[3], const void* params);

// Blocks from the last to the first: results must not change.
void ReverseBlocks(bool is_reversed);

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
