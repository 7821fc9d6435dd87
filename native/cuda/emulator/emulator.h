// Emulates the kernels on the host: compiles the same .cu sources as C++ with device.h of this folder. Blocks run one
// after the other. The threads of a block are fibers that switch at barriers and warp operations.
//
// It detects faults that a GPU does not report: accesses outside a buffer or outside registered memory, reads of shared
// memory before a write, races for it, barriers that not all threads reach, and misaligned vectors.
#pragma once
#include <cstdint>

#include "../program.h"

namespace gapcam {
namespace cuda {
namespace emulator {

// Registers memory that kernels may access, as if a driver had allocated it. Each Buffer must lie inside one region.
void AddRegion(const void* begin, uint64_t bytes);
void RemoveRegion(const void* begin);

// Runs one launch to its end. `params` are bound and param_bytes long. The launch stops at the first fault and returns
// it as an error. A process runs one launch at a time; others wait.
Status RunLaunch(KernelId kernel, const uint32_t (&grid)[3], const uint32_t (&block)[3], const void* params,
                 uint32_t param_bytes);

// The same for any function that is written as a kernel. Tests use it for faulty kernels.
Status RunKernel(const char* name, void (*kernel)(const void* params), const uint32_t (&grid)[3],
                 const uint32_t (&block)[3], const void* params);

// Runs the blocks of later launches in reverse order. The results must not depend on it.
void ReverseBlocks(bool is_reversed);

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
