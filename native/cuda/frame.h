// A camera's frame on the GPU: one launch that converts, crops, turns, resizes and normalises it into a network's input,
// with the results of native/image (PixelPass). The frame lies in mapped host memory, so that it is read once, over the bus.
#pragma once
#include <memory>
#include <vector>

#include "../image/pixels.h"
#include "executor.h"

namespace gapcam {
namespace cuda {

// For frames of one size and format: what the launch needs, until they change.
struct FrameLaunch {
  KernelId kernel;
  uint32_t blocks, threads;
  PixelParams params;         // frame, taps and y are without addresses
  std::vector<int16_t> taps;  // to be uploaded, at a multiple of 8

  // `spec` gives float (is_bytes is not looked at). FRAME_INVALID as PixelPass::Run says it; the source's data is not read.
  static Status Build(const PixelSpec& spec, const PixelSource& source, FrameLaunch* launch);
};

// PixelPass for an executor's input, on its GPU:
//
//   frame ──copy──▶ mapped memory ──pixels_f32──▶ the executor's input, mapped
//
// The copy is what lets the camera have its buffer back; frames of another size or format than the last take new memory.
class FramePass {
 public:
  // The executor must have one input, of spec.width · spec.height · 3 elements.
  FramePass(std::shared_ptr<CudaExecutor> executor, const PixelSpec& spec)
      : executor_(std::move(executor)), spec_(spec) {}
  ~FramePass() { Release(); }
  FramePass(const FramePass&) = delete;
  FramePass& operator=(const FramePass&) = delete;

  // Writes the executor's input and waits for it. FRAME_INVALID as PixelPass::Run; ENGINE_FAILED where the GPU failed, and
  // the input then holds anything. Never while the executor runs; not after its Release().
  Status Run(const PixelSource& frame);

  // Gives the memory back. A later Run() takes it again.
  void Release();

 private:
  bool IsKnown(const PixelSource& frame) const;
  Status Adapt(const PixelSource& frame);
  void Free();

  std::shared_ptr<CudaExecutor> executor_;
  const PixelSpec spec_;
  PixelSource known_;  // the geometry that the launch is for
  FrameLaunch launch_;
  CudaExecutor::Mapped frame_;
  DevicePointer taps_ = 0;
};

}  // namespace cuda
}  // namespace gapcam
