#include "heat.h"

namespace gapcam {
namespace {

constexpr uint32_t kLanes = 16;  // partial sums: one would wait for itself at each step

float Dot(const float* a, const float* b, uint32_t count) {
  float sums[kLanes] = {};
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (uint32_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  float sum = 0;
  for (; i < count; ++i) sum += a[i] * b[i];
  for (const float part : sums) sum += part;
  return sum;
}

}  // namespace

void HeatProduct(const FeatureMap& map, const float* weights, float* heat) {
  if (map.is_nhwc) {
    for (uint32_t p = 0; p < map.places; ++p)
      heat[p] = Dot(map.data + uint64_t{p} * map.channels, weights, map.channels);
    return;
  }
  for (uint32_t p = 0; p < map.places; ++p) heat[p] = 0;
  for (uint32_t c = 0; c < map.channels; ++c) {
    const float* plane = map.data + uint64_t{c} * map.places;
    for (uint32_t p = 0; p < map.places; ++p) heat[p] += plane[p] * weights[c];
  }
}

}  // namespace gapcam
