// A camera's frame on the GPU: one launch that converts, crops, turns, resizes and normalises it into a network's input,
// with the results of native/image (PixelPass). The frame lies in mapped host memory, so that it is read once, over the bus.
#pragma once
#include <vector>

#include "../image/pixels.h"
#include "program.h"

namespace gapcam {
namespace cuda {

// For frames of one size and format: what the launch needs, until they change.
struct FrameLaunch {
  KernelId kernel;
  uint32_t blocks, threads;
  PixelParams params;          // frame, taps and y are without addresses
  std::vector<int16_t> taps;   // to be uploaded, at a multiple of 8

  // `spec` gives float (is_bytes is not looked at). FRAME_INVALID as PixelPass::Run says it; the source's data is not read.
  static Status Build(const PixelSpec& spec, const PixelSource& source, Precision precision, FrameLaunch* launch);
};

}  // namespace cuda
}  // namespace gapcam
