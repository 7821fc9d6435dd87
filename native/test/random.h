// Seeded random numbers that are the same on every machine: splitmix64 (S. Vigna).
#pragma once
#include <cstdint>
#include <vector>

namespace gapcam_test {

// A generator. The same seed and calls give the same numbers.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // A whole number in [low, high].
  uint32_t Between(uint32_t low, uint32_t high) {
    return low + static_cast<uint32_t>(Next() % (uint64_t{high} - low + 1));
  }
  bool Chance(uint32_t percent) { return Between(1, 100) <= percent; }
  uint32_t Among(const std::vector<uint32_t>& choices) {
    return choices[Between(0, static_cast<uint32_t>(choices.size()) - 1)];
  }
  // A number in [-1, 1).
  float Float() { return static_cast<float>(static_cast<double>(Next() >> 11) / 4503599627370496.0 - 1.0); }

  std::vector<float> Floats(size_t count, float scale = 1, float offset = 0) {
    std::vector<float> values(count);
    for (float& value : values) value = Float() * scale + offset;
    return values;
  }

 private:
  uint64_t state_;
};

}  // namespace gapcam_test
