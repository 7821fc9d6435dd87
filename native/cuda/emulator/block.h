// The block that is being emulated: its threads, its shared memory, and the last accesses to each element of that.
//
// Block-wide barriers divide the run of a block into epochs. Within one epoch, a shared element may be read by all
// threads, or written and read by a single thread. Any other access is a race, which a GPU would not report.
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
constexpr uint32_t kSharedBytes = 48 * 1024;  // available on every generation without an opt-in

// Ends the launch with a sentence. Kernel, block and thread are added to it.
[[noreturn]] __attribute__((format(printf, 1, 2))) void Fault(const char* format, ...);

// --- memory

// Whether [begin, begin + bytes) lies inside one registered region.
bool IsRegistered(uint64_t begin, uint64_t bytes);

// The memory of a shared array. Every thread that declares it, on the same source line, gets the same memory.
uint8_t* DeclareShared(uint32_t line, uint32_t bytes);

// The last write and read of two bytes of shared memory: epoch and thread. 0: never written in this block.
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

// Checks and records an access to `count` granules.
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

// Waits for all threads of the block. All must wait on the same source line.
void BlockBarrier(uint32_t line);

// Waits for all lanes of a warp. Then `act` runs once over the operands of all lanes, and all lanes continue.
using WarpAct = void (*)(void* const (&lanes)[kWarpThreads]);
void WarpMeet(WarpAct act, void* mine);

// Copies 16 bytes to shared memory; they arrive at the wait. If `from` is null, zeros arrive.
void BeginCopy(uint8_t* to, const uint8_t* from);
void CommitCopyGroup();
void WaitForCopies(uint32_t pending);

// Runs one block of a kernel. Returns false after a fault, with its sentence in `message`.
bool RunBlock(void (*kernel)(const void* params), const void* params, uint32_t threads, char (&message)[200]);

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
