// A picture in a few numbers: the mean luma of each cell of a grid over a part of a frame, from samples at equal
// distances. It costs the same for any size of frame and allocates nothing.
#pragma once
#include <cstdint>

#include "pixels.h"

namespace gapcam {

constexpr uint32_t kGridMostSamples = 4096;  // across: columns times samples

// Which part of the frame (x, y, width, height as shares), how many cells, and how many samples across and down each.
struct GridSpec {
  double part[4] = {0, 0, 1, 1};
  uint32_t columns = 32, rows = 32, samples = 4;
};

// Writes columns · rows levels from 0 to 255, row by row. FRAME_INVALID for a source that PixelPass::Run refuses.
// spec.columns · spec.samples must not exceed kGridMostSamples.
Status MeasureGrid(const PixelSource& source, const GridSpec& spec, float* cells);

}  // namespace gapcam
