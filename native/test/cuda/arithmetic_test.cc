// The emulator's arithmetic: conversion to half precision, and the matrix products of the tensor cores.
#include <cmath>
#include <cstring>
#include <limits>

#include "../../cuda/emulator/device.h"
#include "../../cuda/emulator/emulator.h"
#include "../check.h"
#include "../random.h"

namespace gapcam_test {
namespace {

using namespace gapcam::cuda;
namespace emulator = gapcam::cuda::emulator;

// Runs a kernel without parameters on one warp.
gapcam::Status RunWarp(void (*kernel)(const void*)) {
  return emulator::RunKernel("test", kernel, {1, 1, 1}, {32, 1, 1}, nullptr);
}

}  // namespace

TEST("half precision rounds to the nearest even") {
  // Every half, and values around the middle between neighbours.
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = HalfToFloat(static_cast<uint16_t>(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) {
      EXPECT(mantissa ? std::isnan(value) : std::isinf(value), "%04x is %g", bits, value);
      continue;
    }
    EXPECT(std::fabs(value) == magnitude && std::signbit(value) == (bits >= 0x8000), "%04x is %g", bits, value);
    EXPECT(FloatToHalf(value) == bits, "%04x comes back as %04x", bits, FloatToHalf(value));
    if (exponent == 30 && mantissa == 1023) continue;
    const float next = HalfToFloat(static_cast<uint16_t>(bits + 1)), middle = (value + next) / 2;
    EXPECT(FloatToHalf(middle) == (bits % 2 == 0 ? bits : bits + 1), "the middle above %04x becomes %04x", bits,
           FloatToHalf(middle));
    EXPECT(FloatToHalf(std::nextafter(middle, value)) == bits && FloatToHalf(std::nextafter(middle, next)) == bits + 1,
           "beside the middle above %04x", bits);
  }
  EXPECT(FloatToHalf(65519.996f) == 0x7bff && FloatToHalf(65520) == 0x7c00 &&
             FloatToHalf(std::numeric_limits<float>::infinity()) == 0x7c00,
         "the end of the range");
}

// a [16][16] · b [16][8 or 16]. The fragments are laid out by a separate formula: element (row, column) of a 16×16
// matrix is register row / 8 + column / 8 · 2 of lane row % 8 · 4 + column % 8 / 2 (PTX ISA, mma.m16n8k16).
struct Matrices {
  half a[16][16], b[16][16];
  float d[16][16];
};
static Matrices matrices;

TEST("mma and WMMA multiply in the documented layouts") {
  Random random(5);
  for (auto& row : matrices.a)
    for (half& x : row) x = FromFloat<half>(random.Float());
  for (auto& row : matrices.b)
    for (half& x : row) x = FromFloat<half>(random.Float());
  const auto check = [](const char* what, int columns) {
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < columns; ++column) {
        double sum = 0;
        for (int k = 0; k < 16; ++k) sum += double{ToFloat(matrices.a[row][k])} * ToFloat(matrices.b[k][column]);
        EXPECT(std::fabs(matrices.d[row][column] - sum) < 1e-5, "%s: (%d, %d) is %g, not %g", what, row, column,
               matrices.d[row][column], sum);
      }
  };
  gapcam::Status status = RunWarp([](const void*) {
    uint32_t a[4] = {}, b[2] = {};
    float d[4] = {};
    for (uint32_t row = 0; row < 16; ++row)
      for (uint32_t column = 0; column < 16; ++column) {
        if (row % 8 * 4 + column % 8 / 2 == threadIdx.x)
          a[row / 8 + column / 8 * 2] |= static_cast<uint32_t>(matrices.a[row][column].bits) << (column % 2 * 16);
        if (column < 8 && column * 4 + row % 8 / 2 == threadIdx.x)
          b[row / 8] |= static_cast<uint32_t>(matrices.b[row][column].bits) << (row % 2 * 16);
      }
    MmaHalf(d, a, b);
    for (uint32_t row = 0; row < 16; ++row)
      for (uint32_t column = 0; column < 8; ++column) {
        if (row % 8 * 4 + column / 2 == threadIdx.x) matrices.d[row][column] = d[row / 8 * 2 + column % 2];
      }
  });
  EXPECT(status.ok(), "%s", status.message());
  check("mma", 8);
  status = RunWarp([](const void*) {
    SHARED(half, a, 256);
    SHARED(half, b, 256);
    SHARED(float, d, 256);
    for (uint32_t i = threadIdx.x; i < 256; i += 32)
      a[i] = matrices.a[i / 16][i % 16], b[i] = matrices.b[i % 16][i / 16];
    __syncthreads();
    WmmaA left;
    WmmaB right;
    WmmaSums sums;
    WmmaLoad(left, a, 0, 16);
    WmmaLoad(right, b, 0, 16);
    WmmaClear(sums);
    WmmaMultiply(sums, left, right);
    WmmaStore(d, 0, sums, 16);
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < 256; i += 32) matrices.d[i / 16][i % 16] = d[i];
  });
  EXPECT(status.ok(), "%s", status.message());
  check("WMMA", 16);
}

}  // namespace gapcam_test
