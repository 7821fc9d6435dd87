#include "emulator.h"

namespace gapcam {
namespace cuda {
namespace emulator {

void AddRegion(const void*, uint64_t) {}
void RemoveRegion(const void*) {}
void ReverseBlocks(bool) {}

Status RunLaunch(KernelId, const uint32_t (&)[3], const uint32_t (&)[3], uint32_t, const void*, uint32_t) {
  return Status::Error("ENGINE_FAILED", "the emulated kernels are not written yet");
}

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
