// Half precision (IEEE 754 binary16) on the host: conversion between bits and float, rounding to nearest even. The
// emulated kernels and the packing of weights use it.
#pragma once
#include <cstdint>
#include <cstring>

namespace gapcam {
namespace cuda {

// The value of these bits.
inline float HalfToFloat(uint16_t bits) {
  // The multiplication corrects the exponent bias. It is also right for subnormal numbers.
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

// The bits of the nearest half; infinity above its range.
inline uint16_t FloatToHalf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits >= 0x47800000)
    return static_cast<uint16_t>(sign | (bits > 0x7f800000 ? 0x7fff : 0x7c00));  // NaN, or 65536 and more
  if (bits < 0x38800000) {
    // The result is subnormal. Adding 0.5 rounds it and moves its bits to the end of the mantissa.
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
