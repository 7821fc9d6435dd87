// The block that is being emulated: its threads, the memory that they share, and who touched each part of it since when.
//
// Time in a block is counted in epochs, which block-wide barriers divide. Within an epoch a shared element may be read by
// all, or written by one thread and read by the same; whatever else happens to it is a race that a GPU would hide.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gapcam {
namespace cuda {

struct Index3 {
  uint32_t x, y, z;
};
extern Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

constexpr uint32_t kWarpThreads = 32, kMaxThreads = 1024;
constexpr uint32_t kSharedBytes = 48 * 1024;  // what every generation gives without being asked

// Ends the launch with a sentence; the place (kernel, block, thread) is added.
[[noreturn]] __attribute__((format(printf, 1, 2))) void Fault(const char* format, ...);

// --- memory

// Whether [begin, begin + bytes) lies in one registered region.
bool IsRegistered(uint64_t begin, uint64_t bytes);

// Bytes for a shared array; every thread that declares it (by its line in the source) gets the same.
uint8_t* DeclareShared(uint32_t line, uint32_t bytes);

// Two bytes of shared memory: when and by whom they were written and last read. 0: never written in this block.
struct Granule {
  uint32_t written, read;  // epoch << 12 | thread + 1
};
constexpr uint32_t kInFlight = 0xffffffff, kManyReaders = 0xfff;
extern uint8_t shared_memory[];
extern Granule granules[];
extern uint32_t epoch_bits;  // the current epoch << 12
extern uint32_t thread_tag;  // the running thread's number + 1

[[noreturn]] void SharedFault(const char* what, const void* at, const Granule& granule);

inline Granule* GranuleOf(const void* at) { return granules + (static_cast<const uint8_t*>(at) - shared_memory) / 2; }

// Checks and notes an access of `count` granules.
inline void NoteRead(const void* at, uint32_t count) {
  Granule* granule = GranuleOf(at);
  const uint32_t me = epoch_bits | thread_tag;
  for (uint32_t i = 0; i < count; ++i, ++granule) {
    const uint32_t written = granule->written;
    if (written - 1 >= epoch_bits && written != me) SharedFault("reads", at, *granule);  // 0 wraps around
    if (granule->read == me) continue;
    granule->read = granule->read >= epoch_bits ? epoch_bits | kManyReaders : me;
  }
}
inline void NoteWrite(const void* at, uint32_t count) {
  Granule* granule = GranuleOf(at);
  const uint32_t me = epoch_bits | thread_tag;
  for (uint32_t i = 0; i < count; ++i, ++granule) {
    if (granule->written > epoch_bits && granule->written != me) SharedFault("writes", at, *granule);
    if (granule->read > epoch_bits && granule->read != me) SharedFault("writes", at, *granule);
    granule->written = me;
  }
}

// --- threads

// Waits for every thread of the block, at the same line of the source.
void BlockBarrier(uint32_t line);

// All lanes of a warp meet; the last to come runs `act` over what each brought, by lane, and then all go on.
using WarpAct = void (*)(void* const (&lanes)[kWarpThreads]);
void WarpMeet(WarpAct act, void* mine);

// 16 bytes that arrive in shared memory at the wait. `from` is null for zeros.
void BeginCopy(uint8_t* to, const uint8_t* from);
void CommitCopyGroup();
void WaitForCopies(uint32_t pending);

// Runs one block of a kernel; returns false after a fault, whose sentence is in `message`.
bool RunBlock(void (*kernel)(const void* params), const void* params, uint32_t threads, char (&message)[200]);

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
