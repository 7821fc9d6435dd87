// A fiber: a stack of its own and the switch to it. What the emulated threads of a block run on; a switch is a dozen
// instructions, where swapcontext would make two system calls.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gapcam {
namespace cuda {
namespace emulator {

constexpr size_t kFiberStackBytes = 64 * 1024;

// Where to go on: a place on a stack, and that stack from its lowest byte, which AddressSanitizer wants to know.
struct Fiber {
  void* place = nullptr;
  const void* stack = nullptr;
  size_t stack_bytes = 0;
};

// A fiber on `stack` (kFiberStackBytes, 16-byte aligned): the first switch to it calls `entry`, which must call EnterFiber
// first and never return. One that was left in the middle may be prepared anew.
Fiber PrepareFiber(void* stack, void (*entry)());

// Says where the first switch to a fiber came from: `from` gets its stack. For a thread's own stack it is the only way to know.
void EnterFiber(Fiber& from);

// Saves where we are in `from` and goes on at `to`.
void SwitchFiber(Fiber& from, const Fiber& to);

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
