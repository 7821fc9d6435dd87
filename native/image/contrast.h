// The local contrast of a grey picture: how far each pixel is from the mean around it, in deviations of the level there.
// It does not depend on the light, and shows what a scene is made of.
#pragma once
#include <cstdint>
#include <vector>

namespace gapcam {

class LocalContrast {
 public:
  // Takes memory for pictures up to this size.
  LocalContrast(uint32_t width, uint32_t height);

  // Writes one number for each of width · height levels: 0 in flat parts, a few units at most.
  void Measure(const float* levels, uint32_t width, uint32_t height, float* out);

 private:
  void Blur(const float* levels, int width, int height);
  void SumUp(int width, int height);

  std::vector<double> sums_, squares_;  // of all pixels above and to the left
  std::vector<float> blurred_;
};

}  // namespace gapcam
