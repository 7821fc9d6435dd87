#include "grid.h"

#include <algorithm>
#include <cmath>

namespace gapcam {
namespace {

// ITU-R BT.601 luma times 256.
constexpr uint32_t kRed = 77, kGreen = 150, kBlue = 29;

// How a pixel's luma is read: bytes from pixel to pixel, where in a pixel it starts, and whether it is made of three.
struct LumaBytes {
  uint32_t step, first;
  bool is_colour, is_bgr;
};

LumaBytes LumaOf(PixelFormat format) {
  switch (format) {
    case PixelFormat::kYuyv: return {2, 0, false, false};
    case PixelFormat::kUyvy: return {2, 1, false, false};
    case PixelFormat::kRgb24: return {3, 0, true, false};
    case PixelFormat::kBgr24: return {3, 0, true, true};
    default: return {1, 0, false, false};
  }
}

// A range of pixels within a size, at least one.
struct Range {
  uint32_t start, length;
};

Range RangeOf(double start, double length, uint32_t size) {
  const auto at = [size](double share) {
    return static_cast<uint32_t>(std::lround(std::clamp(share, 0.0, 1.0) * size));
  };
  const uint32_t from = std::min(at(start), size - 1);
  return {from, std::max(from + 1, at(start + length)) - from};
}

// Pixel of sample i of `count`.
inline uint32_t Place(const Range& range, uint32_t i, uint32_t count) {
  return range.start + static_cast<uint32_t>((uint64_t{2} * i + 1) * range.length / (uint64_t{2} * count));
}

template <bool kIsColour>
void AddRow(const uint8_t* row, const uint32_t* offsets, const GridSpec& spec, uint32_t red, uint32_t blue,
            uint32_t* sums) {
  for (uint32_t column = 0; column < spec.columns; ++column) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < spec.samples; ++i, ++offsets) {
      const uint8_t* pixel = row + *offsets;
      sum += kIsColour ? red * pixel[0] + kGreen * pixel[1] + blue * pixel[2] : pixel[0];
    }
    sums[column] += sum;
  }
}

}  // namespace

Status MeasureGrid(const PixelSource& source, const GridSpec& spec, float* cells) {
  const Status status = PixelPass(PixelSpec()).Check(source);
  if (!status.ok()) return status;
  const LumaBytes luma = LumaOf(source.format);
  const Range across = RangeOf(spec.part[0], spec.part[2], source.width),
              down = RangeOf(spec.part[1], spec.part[3], source.height);
  uint32_t offsets[kGridMostSamples], sums[kGridMostSamples];
  const uint32_t samples = spec.columns * spec.samples, lines = spec.rows * spec.samples;
  for (uint32_t i = 0; i < samples; ++i) offsets[i] = Place(across, i, samples) * luma.step + luma.first;
  const uint32_t red = luma.is_bgr ? kBlue : kRed, blue = luma.is_bgr ? kRed : kBlue;
  const float scale = 1.f / (float(spec.samples) * spec.samples * (luma.is_colour ? 256 : 1));
  for (uint32_t cell = 0; cell < spec.rows; ++cell) {
    std::fill_n(sums, spec.columns, 0u);
    for (uint32_t i = cell * spec.samples; i < (cell + 1) * spec.samples; ++i) {
      const uint8_t* row = source.data + uint64_t{Place(down, i, lines)} * source.stride;
      if (luma.is_colour)
        AddRow<true>(row, offsets, spec, red, blue, sums);
      else
        AddRow<false>(row, offsets, spec, red, blue, sums);
    }
    for (uint32_t column = 0; column < spec.columns; ++column) *cells++ = float(sums[column]) * scale;
  }
  return Status::Ok();
}

}  // namespace gapcam
