// A fiber: a stack of its own and the switch to it. What the emulated threads of a block run on; a switch is a dozen
// instructions, where swapcontext would make two system calls.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gapcam {
namespace cuda {
namespace emulator {

constexpr size_t kFiberStackBytes = 64 * 1024;

// Prepares a fiber on the stack that ends at `stack_end` (16-byte aligned): the first switch to it calls `entry`, which
// must never return. Returns what to switch to.
void* PrepareFiber(void* stack_end, void (*entry)());

// Saves where we are in *from and goes on at `to`.
extern "C" void gapcam_cuda_switch_fiber(void** from, void* to);

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
