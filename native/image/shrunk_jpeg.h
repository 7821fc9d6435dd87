// Decodes a JPEG at 1/2, 1/4 or 1/8 of its size with the libvips that sharp has loaded. sharp itself decodes twice as large
// (four times as many pixels) and resamples, since libjpeg rounds sizes up; here the rounded size is what is wanted.
#pragma once
#include <cstdint>

namespace gapcam {

struct ShrunkJpeg {
  const uint8_t* bytes = nullptr;
  uint64_t size = 0;
  uint32_t shrink = 1;             // 2, 4 or 8
  uint32_t width = 0, height = 0;  // of the result
  uint8_t* rgb = nullptr;          // width · height · 3 levels
};

// Writes `rgb`. False where another decoder has to serve: there is no libvips in this process, the JPEG is damaged, has a
// colour profile or is not of three channels, or its size is another. `rgb` is undefined then. Any thread.
bool DecodeShrunk(const ShrunkJpeg& jpeg);

}  // namespace gapcam
