#include "contrast.h"

#include <algorithm>
#include <cmath>

namespace gapcam {
namespace {

constexpr int kWindow = 4;      // radius of the local mean and deviation
constexpr float kSoftness = 2;  // deviations of the local level below this are flat: noise is not enlarged
constexpr float kMost = 2.5f;   // local contrast is cut here

}  // namespace

LocalContrast::LocalContrast(uint32_t width, uint32_t height)
    : sums_((size_t{width} + 1) * (size_t{height} + 1)), squares_(sums_.size()), blurred_(size_t{width} * height) {}

void LocalContrast::Measure(const float* levels, uint32_t wide, uint32_t high, float* out) {
  const int width = int(wide), height = int(high), stride = width + 1;
  Blur(levels, width, height);
  SumUp(width, height);
  for (int y = 0; y < height; ++y) {
    const int top = std::max(y - kWindow, 0) * stride, bottom = std::min(y + kWindow + 1, height) * stride;
    for (int x = 0; x < width; ++x) {
      const int left = std::max(x - kWindow, 0), right = std::min(x + kWindow + 1, width);
      const double count = double((bottom - top) / stride) * (right - left);
      const auto box = [&](const std::vector<double>& s) {
        return (s[bottom + right] - s[bottom + left] - s[top + right] + s[top + left]) / count;
      };
      const float mean = float(box(sums_)), variance = std::max(0.f, float(box(squares_)) - mean * mean);
      const float value = (blurred_[y * width + x] - mean) / std::sqrt(variance + kSoftness * kSoftness);
      out[y * width + x] = std::clamp(value, -kMost, kMost);
    }
  }
}

// 1 2 1 across and down.
void LocalContrast::Blur(const float* levels, int width, int height) {
  for (int y = 0; y < height; ++y) {
    const float *row = levels + y * width, *above = levels + std::max(y - 1, 0) * width,
                *below = levels + std::min(y + 1, height - 1) * width;
    const auto column = [&](int x) { return above[x] + 2 * row[x] + below[x]; };
    for (int x = 0; x < width; ++x)
      blurred_[y * width + x] = (column(std::max(x - 1, 0)) + 2 * column(x) + column(std::min(x + 1, width - 1))) / 16;
  }
}

void LocalContrast::SumUp(int width, int height) {
  const int stride = width + 1;
  std::fill_n(sums_.begin(), stride, 0.0), std::fill_n(squares_.begin(), stride, 0.0);
  for (int y = 0; y < height; ++y) {
    double sum = 0, square = 0;
    sums_[(y + 1) * stride] = squares_[(y + 1) * stride] = 0;
    for (int x = 0; x < width; ++x) {
      const double level = blurred_[y * width + x];
      sum += level, square += level * level;
      sums_[(y + 1) * stride + x + 1] = sums_[y * stride + x + 1] + sum;
      squares_[(y + 1) * stride + x + 1] = squares_[y * stride + x + 1] + square;
    }
  }
}

}  // namespace gapcam
