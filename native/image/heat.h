// What each place of a feature map adds to one class's score: the product of the map with that class's weights.
#pragma once
#include <cstdint>

namespace gapcam {

// A feature map of one picture, [places, channels] (NHWC) or [channels, places] (NCHW).
struct FeatureMap {
  const float* data = nullptr;
  uint32_t places = 0, channels = 0;
  bool is_nhwc = true;
};

// heat[p] = Σ_c map[p, c] · weights[c]. Sums in single precision, sixteen at a time.
void HeatProduct(const FeatureMap& map, const float* weights, float* heat);

}  // namespace gapcam
