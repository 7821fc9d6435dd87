#include "lens.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace gapcam {
namespace {

constexpr float kDark = 16, kBright = 250;

template <typename T>
void ReadLuma(const LensPixels& p, uint32_t y, float* luma) {
  const uint64_t pixel = uint64_t{p.y + y} * p.width + p.x, area = uint64_t{p.width} * p.height;
  const T* data = static_cast<const T*>(p.data);
  const T* at = p.is_nchw ? data + pixel : data + pixel * 3;
  const uint64_t step = p.is_nchw ? 1 : 3, channel = p.is_nchw ? area : 1;
  for (uint32_t x = 0; x < p.inner_width; ++x) {
    const T* v = at + x * step;
    luma[x] =
        p.offset + p.weights[0] * float(v[0]) + p.weights[1] * float(v[channel]) + p.weights[2] * float(v[2 * channel]);
  }
}

// First place of cell i; with fewer pixels than cells some share one.
inline uint32_t CellStart(uint32_t i, uint32_t size) { return static_cast<uint32_t>(uint64_t{i} * size / kLensCells); }
inline uint32_t CellEnd(uint32_t i, uint32_t size) { return std::max(CellStart(i, size) + 1, CellStart(i + 1, size)); }

void AddToCells(const float* luma, uint32_t width, float* cells) {
  for (uint32_t j = 0; j < kLensCells; ++j) {
    float sum = 0;
    for (uint32_t x = CellStart(j, width); x < CellEnd(j, width); ++x) sum += luma[x];
    cells[j] += sum;
  }
}

}  // namespace

void MeasureLens(const LensPixels& p, LensStatistics* out) {
  float rows[2][kLensWidest];
  float *above = rows[0], *row = rows[1];
  std::fill_n(out->cells, kLensCells * kLensCells, 0.f);
  double fine = 0;
  uint64_t dark = 0, bright = 0;
  uint32_t first = 0;  // of the cell rows that may still take pixels
  for (uint32_t y = 0; y < p.inner_height; ++y, std::swap(above, row)) {
    if (p.is_signed)
      ReadLuma<int8_t>(p, y, row);
    else if (p.is_bytes)
      ReadLuma<uint8_t>(p, y, row);
    else
      ReadLuma<float>(p, y, row);
    float across = 0, down = 0;
    uint32_t below = 0, above_bright = 0;
    for (uint32_t x = 0; x + 1 < p.inner_width; ++x) across += std::fabs(row[x] - row[x + 1]);
    if (y > 0)
      for (uint32_t x = 0; x < p.inner_width; ++x) down += std::fabs(row[x] - above[x]);
    for (uint32_t x = 0; x < p.inner_width; ++x) below += row[x] < kDark, above_bright += row[x] >= kBright;
    fine += double{across} + down;
    dark += below, bright += above_bright;
    while (first < kLensCells && CellEnd(first, p.inner_height) <= y) ++first;
    for (uint32_t i = first; i < kLensCells && CellStart(i, p.inner_height) <= y; ++i) {
      if (y < CellEnd(i, p.inner_height)) AddToCells(row, p.inner_width, out->cells + i * kLensCells);
    }
  }
  for (uint32_t i = 0; i < kLensCells; ++i)
    for (uint32_t j = 0; j < kLensCells; ++j) {
      const uint32_t pixels = (CellEnd(i, p.inner_height) - CellStart(i, p.inner_height)) *
                              (CellEnd(j, p.inner_width) - CellStart(j, p.inner_width));
      out->cells[i * kLensCells + j] /= float(pixels);
    }
  const double count = double(p.inner_width) * p.inner_height;
  out->fine = float(fine / (2 * count - p.inner_width - p.inner_height));
  out->dark = float(dark / count), out->bright = float(bright / count);
}

}  // namespace gapcam
