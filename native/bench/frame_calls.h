// Counts what an inference asks of the allocator and of the kernel. It should be nothing except futex.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../kernels/op.h"

namespace gapcam_bench {

// The calls of all threads while frames ran.
struct FrameCalls {
  bool ok = false;            // the plan could be opened and run
  int64_t allocations = -1;   // malloc and its variants; -1 if a sanitizer replaces them
  int64_t system_calls = -1;  // all except futex; -1 if they cannot be counted, as under an emulator
};

// Opens a plan in a child process and counts the calls of `frames` runs, after two runs that are not counted. It needs
// a child because the seccomp filter that counts system calls cannot be removed from a process.
FrameCalls CountFrameCalls(const uint8_t* plan, size_t size, const gapcam::Target& target, uint32_t threads,
                           uint32_t frames);

}  // namespace gapcam_bench
