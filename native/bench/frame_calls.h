// What an inference asks of the allocator and of the kernel: nothing but a futex, which is shown here by counting.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../kernels/op.h"

namespace gapcam_bench {

struct FrameCalls {
  bool ok = false;            // the plan could be opened and run
  int64_t allocations = -1;   // malloc and its kin, on every thread; -1 where a sanitizer has them
  int64_t system_calls = -1;  // all but futex, on every thread; -1 where the kernel counts none (an emulator)
};

// Opens a plan in a child process and counts over `frames` runs that follow two others. The system calls are counted
// by a seccomp filter, which lets only futex through and would hold for the rest of this process.
FrameCalls CountFrameCalls(const uint8_t* plan, size_t size, const gapcam::Target& target, uint32_t threads,
                           uint32_t frames);

}  // namespace gapcam_bench
