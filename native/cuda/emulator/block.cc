#include "block.h"

#include <sys/mman.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <vector>

#include "fiber.h"

namespace gapcam {
namespace cuda {

Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

alignas(64) uint8_t shared_memory[kSharedBytes];
Granule granules[kSharedBytes / 2];
uint32_t epoch_bits, thread_tag;

namespace {

enum class State : uint8_t { kReady, kAtWarp, kAtBarrier, kDone };

struct PendingCopy {
  uint8_t* to;
  const uint8_t* from;
  uint32_t group;
};

struct Thread {
  Fiber fiber;
  State state = State::kDone;
  WarpAct act = nullptr;  // the warp operation that it waits for
  void* mine = nullptr;   // its operand
  Index3 index = {};
  uint32_t barrier = 0;  // the source line of the barrier that it waits at
  uint32_t groups = 0;   // groups of copies committed so far
  std::vector<PendingCopy> copies;
};

struct SharedArray {
  uint32_t line, bytes, at;
};

Thread threads[kMaxThreads];
uint32_t thread_count, running;
Fiber scheduler;
void (*kernel_of_block)(const void*);
const void* params_of_block;
SharedArray arrays[16];
uint32_t array_count, shared_used;
bool has_fault;
char fault[200];

void YieldAs(State state) {
  threads[running].state = state;
  SwitchFiber(threads[running].fiber, scheduler);
}

[[noreturn]] void ThreadMain() {
  EnterFiber(scheduler);
  kernel_of_block(params_of_block);
  YieldAs(State::kDone);
  __builtin_unreachable();
}

void Resume(uint32_t thread) {
  running = thread;
  threadIdx = threads[thread].index;
  thread_tag = thread + 1;
  SwitchFiber(scheduler, threads[thread].fiber);
}

void NoteFault(const char* what) {
  if (!has_fault) std::snprintf(fault, sizeof(fault), "%s", what);
  has_fault = true;
}

// The states of a warp's lanes when none of them is ready.
struct Census {
  uint32_t at_warp, at_barrier, done;
};

Census CountWarp(uint32_t first, uint32_t last) {
  Census census = {};
  for (uint32_t t = first; t < last; ++t) {
    if (threads[t].state == State::kAtWarp)
      ++census.at_warp;
    else
      ++(threads[t].state == State::kAtBarrier ? census.at_barrier : census.done);
  }
  return census;
}

// Runs a warp until all its lanes wait at a barrier or have ended.
void RunWarp(uint32_t first, uint32_t last) {
  for (;;) {
    for (uint32_t t = first; t < last; ++t) {
      if (threads[t].state == State::kReady) Resume(t);
      if (has_fault) return;
    }
    const Census census = CountWarp(first, last);
    if (census.at_warp == 0) return;
    if (census.at_warp < kWarpThreads) return NoteFault("not all lanes of a warp reach a warp operation");
    void* lanes[kWarpThreads];
    for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
      if (threads[first + lane].act != threads[first].act)
        return NoteFault("the lanes of a warp reach different warp operations");
      lanes[lane] = threads[first + lane].mine;
      threads[first + lane].state = State::kReady;
    }
    threads[first].act(lanes);
    if (has_fault) return;
  }
}

}  // namespace

void Fault(const char* format, ...) {
  char what[160];
  va_list args;
  va_start(args, format);
  std::vsnprintf(what, sizeof(what), format, args);
  va_end(args);
  char text[200];
  std::snprintf(text, sizeof(text), "thread (%u, %u, %u) %s", threadIdx.x, threadIdx.y, threadIdx.z, what);
  NoteFault(text);
  YieldAs(State::kDone);
  __builtin_unreachable();
}

void SharedFault(const char* what, const void* at, const Granule& granule) {
  const auto byte = static_cast<unsigned>(static_cast<const uint8_t*>(at) - shared_memory);
  if (granule.written == kInFlight)
    Fault("%s shared byte %u while an asynchronous copy to it is under way", what, byte);
  if (granule.written == 0) Fault("%s shared byte %u, which no thread has written", what, byte);
  if (granule.written > epoch_bits && granule.written != (epoch_bits | thread_tag)) {
    Fault("%s shared byte %u, which thread %u wrote with no barrier between", what, byte,
          (granule.written & 0xfff) - 1);
  }
  Fault("%s shared byte %u, which another thread read with no barrier between", what, byte);
}

uint8_t* DeclareShared(uint32_t line, uint32_t bytes) {
  for (uint32_t i = 0; i < array_count; ++i) {
    if (arrays[i].line == line && arrays[i].bytes == bytes) return shared_memory + arrays[i].at;
  }
  if (array_count == sizeof(arrays) / sizeof(arrays[0]) || shared_used + bytes > kSharedBytes)
    Fault("needs more than %u bytes of shared memory", kSharedBytes);
  arrays[array_count++] = {line, bytes, shared_used};
  uint8_t* const place = shared_memory + shared_used;
  std::memset(place, 0xff, bytes);  // NaN as float and as half
  std::memset(GranuleOf(place), 0, bytes / 2 * sizeof(Granule));
  shared_used += (bytes + 15) / 16 * 16;
  return place;
}

void BlockBarrier(uint32_t line) {
  threads[running].barrier = line;
  YieldAs(State::kAtBarrier);
}

void WarpMeet(WarpAct act, void* mine) {
  threads[running].act = act;
  threads[running].mine = mine;
  YieldAs(State::kAtWarp);
}

void BeginCopy(uint8_t* to, const uint8_t* from) {
  NoteWrite(to, 8);
  for (uint32_t i = 0; i < 8; ++i) GranuleOf(to)[i].written = kInFlight;
  std::memset(to, 0xff, 16);
  threads[running].copies.push_back({to, from, threads[running].groups});
}

void CommitCopyGroup() { ++threads[running].groups; }

void WaitForCopies(uint32_t pending) {
  Thread& thread = threads[running];
  size_t kept = 0;
  for (const PendingCopy& copy : thread.copies) {
    if (copy.group + pending >= thread.groups) {
      thread.copies[kept++] = copy;
      continue;
    }
    if (copy.from)
      std::memcpy(copy.to, copy.from, 16);
    else
      std::memset(copy.to, 0, 16);
    for (uint32_t i = 0; i < 8; ++i) GranuleOf(copy.to)[i].written = epoch_bits | thread_tag;
  }
  thread.copies.resize(kept);
}

// Memory for the stacks of the fibers, made once; null if there is not enough.
static uint8_t* StackMemory() {
  static uint8_t* stacks = nullptr;
  if (stacks) return stacks;
  void* memory = mmap(nullptr, kMaxThreads * kFiberStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) stacks = static_cast<uint8_t*>(memory);
  return stacks;
}

bool RunBlock(void (*kernel)(const void*), const void* params, uint32_t count, char (&message)[200]) {
  uint8_t* const stacks = StackMemory();
  if (!stacks) {
    std::snprintf(message, sizeof(message), "there is not enough memory for the emulated threads");
    return false;
  }
  kernel_of_block = kernel, params_of_block = params, thread_count = count;
  array_count = shared_used = 0, epoch_bits = 1 << 12, has_fault = false;
  for (uint32_t t = 0; t < count; ++t) {
    threads[t].fiber = PrepareFiber(stacks + size_t{t} * kFiberStackBytes, ThreadMain);
    threads[t].state = State::kReady;
    threads[t].groups = 0;
    threads[t].copies.clear();
    threads[t].index = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
  }
  for (uint32_t done = 0; done < count && !has_fault;) {
    uint32_t at_barrier = 0;
    done = 0;
    for (uint32_t first = 0; first < count && !has_fault; first += kWarpThreads) {
      const uint32_t last = first + kWarpThreads < count ? first + kWarpThreads : count;
      RunWarp(first, last);
      const Census census = CountWarp(first, last);
      at_barrier += census.at_barrier, done += census.done;
    }
    if (has_fault) break;
    if (at_barrier > 0 && done > 0)
      NoteFault("a barrier is reached by some threads of the block while others have ended");
    for (uint32_t t = 0; t < count && at_barrier > 0; ++t) {
      if (threads[t].barrier != threads[0].barrier) NoteFault("the threads of a block wait at different barriers");
      threads[t].state = State::kReady;
    }
    epoch_bits += 1 << 12;
  }
  if (has_fault) std::memcpy(message, fault, sizeof(message));
  return !has_fault;
}

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
