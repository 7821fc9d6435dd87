// The loops of fitting a head, compiled once per instruction set. Sums of whole numbers are exact, those of fractions have a
// fixed order, and nothing is contracted, so all instruction sets give the same bits.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gapcam {

// Rows and columns of one tile of products.
constexpr int kDotRows = 4, kDotColumns = 4;
// A run of bytes is padded with zeros to a multiple of this.
constexpr size_t kDotBytes = 64;
// Rows that one row is multiplied with at a time, and the numbers to which their length is padded with zeros.
constexpr int kProductRows = 4, kProductLanes = 4;
// Vectors that are weighted and added at a time.
constexpr int kSummed = 8;

struct TeachKernels {
  // sums[r * stride + c] += a[r] · b[c] over `bytes` bytes, a multiple of kDotBytes and not 0; none is -128.
  void (*dots)(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums, size_t stride);
  // to[k] = from[k] - mean[k], scaled so that the largest magnitude is 127, and rounded, halves to the even number. Returns
  // the sum of their squares.
  int32_t (*round)(const float* from, const float* mean, uint32_t length, int8_t* to);
  // The sum of the squares of from[k] - mean[k]: four sums, one for each remainder of k by 4.
  float (*squares)(const float* from, const float* mean, uint32_t length);
  // totals[r] = a · rows[r] from `from` to `to`, both multiples of kProductLanes: four sums, one for each remainder of k by 4.
  void (*products)(const double* a, const double* const* rows, uint32_t from, uint32_t to, double* totals);
  // sums[s * length + k] += Σ factors[s * kSummed + v] · (from[v][k] - mean[k]), added in pairs. `length` is at most
  // kSumBlock.
  void (*add)(const float* const* from, const float* mean, const float* factors, uint32_t states, uint32_t length,
              float* sums);
};
constexpr uint32_t kSumBlock = 1024;

extern const TeachKernels kTeachPlain;
#if defined(__x86_64__)
extern const TeachKernels kTeachAvx2;
#if !defined(GAPCAM_WITHOUT_AVX512)
extern const TeachKernels kTeachAvx512Vnni;
#endif
#elif defined(__aarch64__)
extern const TeachKernels kTeachNeonDot;
#endif

// The best ones that this machine can run.
const TeachKernels& ChooseTeachKernels();

}  // namespace gapcam
