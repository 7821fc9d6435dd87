// A fiber: a separate stack and the switch to it. The emulated threads of a block are fibers. A switch takes a dozen
// instructions; swapcontext would make two system calls.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gapcam {
namespace cuda {
namespace emulator {

constexpr size_t kFiberStackBytes = 64 * 1024;

// A suspended fiber: its stack pointer, and the bounds of its stack, which AddressSanitizer needs.
struct Fiber {
  void* place = nullptr;
  const void* stack = nullptr;
  size_t stack_bytes = 0;
};

// Makes a fiber on `stack` (kFiberStackBytes, 16-byte aligned). The first switch to it calls `entry`, which must call
// EnterFiber first and must not return. The stack of a fiber that did not end may be prepared again.
Fiber PrepareFiber(void* stack, void (*entry)());

// Tells `from` its own stack, after the first switch from it to a fiber. There is no other way to find the stack of a
// thread.
void EnterFiber(Fiber& from);

// Suspends the current fiber into `from` and continues with `to`.
void SwitchFiber(Fiber& from, const Fiber& to);

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
