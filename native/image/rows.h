// Rows of a camera's picture as lines of 16-bit fixed point, in levels of 0 to 255, times 32:
//
//   R G B 0  R G B 0  …      four numbers a pixel, of YUV and grey
//   R G B R G B  …           three, of RGB; B G R of BGR
//
// Eight such numbers fit one register of any processor, and conversion, mixing and resampling stay within a quarter of
// a level of the same in floating point (test/pixels/preprocess.test.ts demands half a level).
#pragma once
#include <cstdint>

#include "pixels.h"

namespace gapcam {

// Numbers of one pixel in a line.
inline uint32_t PixelNumbers(PixelFormat format) {
  return format == PixelFormat::kRgb24 || format == PixelFormat::kBgr24 ? 3 : 4;
}

// Numbers that a line of `count` pixels must have room for: rows are converted eight pixels at a time, from an even one on.
inline size_t LineNumbers(uint32_t count) { return 4 * (size_t{count} + 10); }

// A weight between 0 and 1 as lines are mixed with it.
inline int16_t FixedWeight(double weight) { return static_cast<int16_t>(weight * 16384 + 0.5); }

// Converts pixels [x, x + count) of row y into `line`; returns where in it the first of them lies.
const int16_t* ReadLine(const PixelSource& source, uint32_t y, uint32_t x, uint32_t count, int16_t* line);

// mixed = a + weight (b - a), of `numbers` numbers and up to seven more.
void MixLines(const int16_t* a, const int16_t* b, int16_t weight, size_t numbers, int16_t* mixed);

// Where an output row's pixels come from in a line: number `first` and `second` of the line, and the second's weight,
// four times over. The tables have kTapsAtOnce - 1 more entries than pixels.
constexpr uint32_t kTapsAtOnce = 4;
struct LineTaps {
  const uint32_t *first, *second;
  const int16_t* weights;
  uint32_t count;
};

// value = level · scale + offset, by channel.
struct LevelScale {
  float scale[4], offset[4];
};

// Where they go: elements from pixel to pixel and from channel to channel.
struct LineTarget {
  void* out;
  int64_t at, pixel_step, channel_step;
  bool is_swapped;       // the line's first channel is the last one here
  LevelScale values;     // for float32
  const uint8_t* bytes;  // the bytes of each level, by channel (kLevels each); null for float32
};

// Numbers from 0 to 255, times 32.
constexpr uint32_t kLevels = 255 * 32 + 1;

// The byte of a value in a code: what the step `quantize` gives for it.
uint8_t CodedByte(float value, const ByteCode& code);

// The bytes of all levels, 3 · kLevels: their values in a code, or the rounded levels themselves without one. A value has
// the bits that WriteLine gives it as float32.
void TabulateLevels(const LevelScale& values, const ByteCode* code, uint8_t* bytes);

void WriteLine(const int16_t* line, const LineTaps& taps, const LineTarget& target);

}  // namespace gapcam
