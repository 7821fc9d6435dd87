// Heat products and lens statistics compared with plain loops in double precision, over odd shapes. Sanitizers watch
// for accesses beside the pixels.
#include "../image/heat.h"
#include "../image/lens.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "check.h"
#include "random.h"

namespace gapcam_test {

TEST("the heat of a class is the product of its weights and the map, in NHWC and NCHW order") {
  Random random(5);
  for (int i = 0; i < 200; ++i) {
    const uint32_t places = random.Between(1, 80), channels = random.Between(1, 400);
    std::vector<float> map(size_t{places} * channels), weights(channels), heat(places);
    for (float& v : map) v = random.Float();
    for (float& v : weights) v = random.Float();
    for (const bool is_nhwc : {true, false}) {
      gapcam::HeatProduct({map.data(), places, channels, is_nhwc}, weights.data(), heat.data());
      for (uint32_t p = 0; p < places; ++p) {
        double sum = 0, size = 0;
        for (uint32_t c = 0; c < channels; ++c) {
          const double term = double{map[is_nhwc ? size_t{p} * channels + c : size_t{c} * places + p]} * weights[c];
          sum += term, size += std::fabs(term);
        }
        EXPECT(std::fabs(heat[p] - sum) <= 1e-6 * size + 1e-12, "place %u of %u with %u channels: %g for %g", p, places,
               channels, heat[p], sum);
      }
    }
  }
}

TEST("the lens statistics count only the picture inside the letterbox") {
  Random random(9);
  auto measured = std::make_unique<gapcam::LensStatistics>();
  for (int i = 0; i < 60; ++i) {
    const uint32_t width = random.Between(2, 120), height = random.Between(2, 120);
    std::vector<uint8_t> bytes(size_t{width} * height * 3);
    for (uint8_t& v : bytes) v = static_cast<uint8_t>(random.Between(0, 255));
    gapcam::LensPixels p;
    p.data = bytes.data(), p.is_bytes = true, p.is_nchw = i % 2 == 0, p.width = width, p.height = height;
    p.x = random.Between(0, width - 2), p.y = random.Between(0, height - 2);
    p.inner_width = random.Between(2, width - p.x), p.inner_height = random.Between(2, height - p.y);
    p.weights[0] = 0.25f, p.weights[1] = 0.5f, p.weights[2] = 0.25f;
    gapcam::MeasureLens(p, measured.get());
    const auto luma = [&](uint32_t x, uint32_t y) {
      const size_t at = size_t{p.y + y} * width + p.x + x, area = size_t{width} * height;
      const auto level = [&](size_t c) { return static_cast<double>(bytes[p.is_nchw ? c * area + at : at * 3 + c]); };
      return 0.25 * level(0) + 0.5 * level(1) + 0.25 * level(2);
    };
    double fine = 0, dark = 0;
    for (uint32_t y = 0; y < p.inner_height; ++y)
      for (uint32_t x = 0; x < p.inner_width; ++x) {
        if (x + 1 < p.inner_width) fine += std::fabs(luma(x, y) - luma(x + 1, y));
        if (y + 1 < p.inner_height) fine += std::fabs(luma(x, y) - luma(x, y + 1));
        dark += luma(x, y) < 16;
      }
    const double count = double(p.inner_width) * p.inner_height;
    EXPECT(std::fabs(measured->fine - fine / (2 * count - p.inner_width - p.inner_height)) < 1e-3, "fine %g",
           measured->fine);
    EXPECT(std::fabs(measured->dark - dark / count) < 1e-6, "dark %g", measured->dark);
    const uint32_t last = gapcam::kLensCells - 1;
    const uint32_t left = last * p.inner_width / gapcam::kLensCells, top = last * p.inner_height / gapcam::kLensCells;
    double sum = 0;
    for (uint32_t y = top; y < p.inner_height; ++y)
      for (uint32_t x = left; x < p.inner_width; ++x) sum += luma(x, y);
    sum /= double(p.inner_width - left) * (p.inner_height - top);
    EXPECT(std::fabs(measured->cells[last * gapcam::kLensCells + last] - sum) < 1e-2, "last cell %g for %g",
           measured->cells[last * gapcam::kLensCells + last], sum);
  }
}

}  // namespace gapcam_test
