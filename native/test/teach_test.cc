// Compares the kernels of fitting a head of each instruction set with the plain ones: the same bits over odd lengths.
#include <cstring>
#include <utility>
#include <vector>

#include "../teach/kernels.h"
#include "check.h"
#include "random.h"

namespace gapcam_test {
namespace {

using gapcam::kDotBytes;
using gapcam::kDotColumns;
using gapcam::kDotRows;
using gapcam::kProductRows;
using gapcam::kSummed;
using gapcam::kTeachPlain;
using gapcam::TeachKernels;

// What this machine can run beside the plain ones.
std::vector<const TeachKernels*> Others() {
  std::vector<const TeachKernels*> others;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) others.push_back(&gapcam::kTeachAvx2);
#endif
  const TeachKernels& chosen = gapcam::ChooseTeachKernels();
  if (&chosen != &kTeachPlain && (others.empty() || &chosen != others[0])) others.push_back(&chosen);
  return others;
}

std::vector<float> Floats(Random& random, size_t count) {
  std::vector<float> numbers(count);
  for (float& number : numbers) number = random.Between(0, 3) == 0 ? 0 : random.Float();
  return numbers;
}

template <typename T>
bool AreSame(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

TEST("kernels of fitting a head multiply bytes as the plain ones do, up to the largest ones") {
  Random random(1);
  for (const TeachKernels* kernels : Others())
    for (size_t bytes : {kDotBytes, 5 * kDotBytes, 16 * kDotBytes}) {
      std::vector<int8_t> numbers((kDotRows + kDotColumns) * bytes);
      for (int8_t& number : numbers)
        number = static_cast<int8_t>(
            static_cast<int>(random.Chance(20) ? 254 * random.Between(0, 1) : random.Between(0, 254)) - 127);
      const int8_t *a[kDotRows], *b[kDotColumns];
      for (int i = 0; i < kDotRows; ++i) a[i] = numbers.data() + i * bytes;
      for (int i = 0; i < kDotColumns; ++i) b[i] = numbers.data() + (kDotRows + i) * bytes;
      std::vector<int32_t> expected(kDotRows * kDotColumns, 7), actual = expected;
      kTeachPlain.dots(a, b, bytes, expected.data(), kDotColumns);
      kernels->dots(a, b, bytes, actual.data(), kDotColumns);
      int32_t exact = 7;
      for (size_t k = 0; k < bytes; ++k) exact += a[2][k] * b[1][k];
      EXPECT(expected[2 * kDotColumns + 1] == exact, "%d instead of %d", expected[2 * kDotColumns + 1], exact);
      EXPECT(AreSame(expected, actual), "other sums of %zu bytes", bytes);
    }
}

TEST("kernels of fitting a head round and square as the plain ones do") {
  Random random(2);
  for (const TeachKernels* kernels : Others())
    for (uint32_t length : {1u, 3u, 17u, 64u, 333u}) {
      const auto from = Floats(random, length), mean = Floats(random, length);
      std::vector<int8_t> expected(length), actual(length);
      const int32_t squares = kTeachPlain.round(from.data(), mean.data(), length, expected.data());
      EXPECT(kernels->round(from.data(), mean.data(), length, actual.data()) == squares, "other squares of bytes");
      EXPECT(AreSame(expected, actual), "other bytes of %u", length);
      const std::vector<float> sums = {kTeachPlain.squares(from.data(), mean.data(), length)};
      EXPECT(AreSame(sums, {kernels->squares(from.data(), mean.data(), length)}), "other squares of %u", length);
    }
}

TEST("kernels of fitting a head multiply and add rows as the plain ones do") {
  Random random(3);
  for (const TeachKernels* kernels : Others())
    for (uint32_t length : {4u, 20u, 332u}) {
      std::vector<double> numbers((1 + kProductRows) * length);
      for (double& number : numbers) number = random.Float();
      const double* rows[kProductRows];
      for (int r = 0; r < kProductRows; ++r) rows[r] = numbers.data() + (1 + r) * length;
      std::vector<double> expected(kProductRows), actual(kProductRows);
      kTeachPlain.products(numbers.data(), rows, 4, length, expected.data());
      kernels->products(numbers.data(), rows, 4, length, actual.data());
      EXPECT(AreSame(expected, actual), "other products of %u", length);
      const auto vectors = Floats(random, (kSummed + 1) * length), factors = Floats(random, 3 * kSummed);
      const float* from[kSummed];
      const uint32_t shorter = length - 1;
      for (int v = 0; v < kSummed; ++v) from[v] = vectors.data() + v * length;
      std::vector<float> sums(3 * shorter, 0.5f), others = sums;
      const float* mean = vectors.data() + kSummed * length;
      kTeachPlain.add(from, mean, factors.data(), 3, shorter, sums.data());
      kernels->add(from, mean, factors.data(), 3, shorter, others.data());
      EXPECT(AreSame(sums, others), "other sums of %u", shorter);
    }
}

}  // namespace
}  // namespace gapcam_test
