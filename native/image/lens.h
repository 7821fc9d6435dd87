// What can be told of a lens from the pixels that the network saw: brightness by cell, fine detail, clipped shares.
#pragma once
#include <cstdint>

namespace gapcam {

constexpr uint32_t kLensCells = 56;     // cells across and down
constexpr uint32_t kLensWidest = 8192;  // columns of the input, as the pixel path allows

// Where the picture lies in the network's input and how its numbers become levels (0 to 255).
struct LensPixels {
  const void* data = nullptr;  // float32, uint8, or int8
  bool is_bytes = false, is_signed = false, is_nchw = false;
  uint32_t width = 0, height = 0;                            // of the whole input
  uint32_t x = 0, y = 0, inner_width = 0, inner_height = 0;  // of the picture in it; at least 2 by 2, inside
  float weights[3] = {0, 0, 0};  // luma = offset + Σ weights[channel] · value, in the input's channel order
  float offset = 0;
};

struct LensStatistics {
  float fine = 0;                        // mean difference between neighbours, in levels
  float dark = 0;                        // share of pixels below level 16
  float bright = 0;                      // share of pixels of level 250 or more
  float cells[kLensCells * kLensCells];  // mean level of each, row by row
};

// One pass over the pixels, in their order.
void MeasureLens(const LensPixels& pixels, LensStatistics* out);

}  // namespace gapcam
