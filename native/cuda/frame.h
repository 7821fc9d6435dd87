// A camera's frame on the GPU: one launch converts, crops, rotates, resizes and normalizes it into a network's input,
// with the same results as native/image (PixelPass). The frame lies in mapped host memory: the kernel reads it once,
// over the bus.
#pragma once
#include <memory>
#include <vector>

#include "../image/pixels.h"
#include "executor.h"

namespace gapcam {
namespace cuda {

// The launch for frames of one size and format.
struct FrameLaunch {
  KernelId kernel;
  uint32_t blocks, threads;
  PixelParams params;         // the addresses of frame, taps and y are not set
  std::vector<int16_t> taps;  // the caller uploads them, aligned to 8 bytes

  // The result is float; spec.is_bytes is ignored. FRAME_INVALID for the same reasons as PixelPass::Run. source.data is
  // not read.
  static Status Build(const PixelSpec& spec, const PixelSource& source, FrameLaunch* launch);
};

// PixelPass for an executor's input, on its GPU.
//
//   frame ──copy──▶ mapped memory ──pixels_f32──▶ the executor's input, mapped
//
// After the copy the camera may reuse its buffer. A frame of a new size or format allocates new memory.
class FramePass {
 public:
  // The executor must have one input with spec.width · spec.height · 3 elements.
  FramePass(std::shared_ptr<CudaExecutor> executor, const PixelSpec& spec)
      : executor_(std::move(executor)), spec_(spec) {}
  ~FramePass() { Release(); }
  FramePass(const FramePass&) = delete;
  FramePass& operator=(const FramePass&) = delete;

  // Writes the executor's input and waits for it. FRAME_INVALID for the same reasons as PixelPass::Run. ENGINE_FAILED
  // if the GPU failed; the input is then undefined. Not during a run of the executor, and not after its Release().
  Status Run(const PixelSource& frame);

  // Releases the memory. A later Run() allocates it again.
  void Release();

 private:
  bool IsKnown(const PixelSource& frame) const;
  Status Adapt(const PixelSource& frame);
  void Free();

  std::shared_ptr<CudaExecutor> executor_;
  const PixelSpec spec_;
  PixelSource known_;  // the geometry of launch_
  FrameLaunch launch_;
  CudaExecutor::Mapped frame_;
  DevicePointer taps_ = 0;
};

}  // namespace cuda
}  // namespace gapcam
