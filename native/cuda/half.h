// Half precision (IEEE 754 binary16) on the host: bits, and their conversion with rounding to the nearest even. Shared by
// the emulated kernels and by what packs weights for them.
#pragma once
#include <cstdint>
#include <cstring>

namespace gapcam {
namespace cuda {

inline float HalfToFloat(uint16_t bits) {
  // The exponent moved by a multiplication, which also makes denormal numbers right.
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  float value;
  std::memcpy(&value, &magnitude, sizeof(value));
  value *= 0x1p112f;
  uint32_t result;
  std::memcpy(&result, &value, sizeof(result));
  if ((bits & 0x7c00) == 0x7c00) result |= 0x7f800000;  // infinities and NaN
  result |= static_cast<uint32_t>(bits & 0x8000) << 16;
  std::memcpy(&value, &result, sizeof(value));
  return value;
}

inline uint16_t FloatToHalf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits >= 0x47800000)
    return static_cast<uint16_t>(sign | (bits > 0x7f800000 ? 0x7fff : 0x7c00));  // NaN, or 65536 and more
  if (bits < 0x38800000) {
    // A denormal result: adding 0.5 puts its bits, rounded, at the end of the mantissa.
    float magnitude;
    std::memcpy(&magnitude, &bits, sizeof(magnitude));
    magnitude += 0.5f;
    std::memcpy(&bits, &magnitude, sizeof(bits));
    return static_cast<uint16_t>(sign | (bits - 0x3f000000));
  }
  bits += 0xc8000fff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | bits >> 13);
}

}  // namespace cuda
}  // namespace gapcam
