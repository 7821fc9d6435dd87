#include "heat.h"

#include <cstring>

namespace gapcam {
namespace {

typedef float Floats __attribute__((vector_size(16)));

// Partial sums, four numbers each: one would wait for itself at each step.
constexpr uint32_t kSums = 4, kLanes = 4 * kSums;

inline Floats Load(const float* from) {
  Floats value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

float Dot(const float* a, const float* b, uint32_t count) {
  Floats sums[kSums] = {};
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (uint32_t k = 0; k < kSums; ++k) sums[k] += Load(a + i + 4 * k) * Load(b + i + 4 * k);
  float rest = 0;
  for (; i < count; ++i) rest += a[i] * b[i];
  const Floats all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return rest + ((all[0] + all[2]) + (all[1] + all[3]));
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
