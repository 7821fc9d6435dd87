// Vectors of looks. Matrices are row-major; vectors have one length, which the parts divide. A vector stands for itself less
// a mean, each part brought to the length of its weight; a part of zeros stays one. All functions run on any thread.
#pragma once
#include <cstdint>
#include <vector>

namespace gapcam {

// A sum of so many products of bytes fits 32 bits.
constexpr uint32_t kLongestPart = 1u << 17;

typedef std::vector<const float*> Vectors;

// What vectors of one network have in common. The caller owns the numbers.
struct VectorSpace {
  std::vector<uint32_t> lengths;   // of the parts
  uint32_t length = 0;             // their sum
  const float* mean = nullptr;     // [length]
  const float* weights = nullptr;  // of the parts
};

// The vectors themselves: [vectors, length].
void JoinVectors(const Vectors& raw, const VectorSpace& space, float* joined);

// products[r, c] = rows[r] · columns[c]: each part is rounded to 8 bits by a scale of its own first. Where both are the same
// vector list, half of the work is done.
void ByteProducts(const Vectors& rows, const Vectors& columns, const VectorSpace& space, double* products);

// sums[k, s] = Σ alpha[i, s] · vector i at k: [length, states].
void WeightedSums(const Vectors& raw, const VectorSpace& space, const double* alpha, uint32_t states, float* sums);

}  // namespace gapcam
