// The arithmetic of fitting a head. Matrices are row-major; vectors have one length, which the parts divide. All functions
// run on any thread.
#pragma once
#include <cstdint>
#include <vector>

namespace gapcam {

// A sum of so many products of bytes fits 32 bits.
constexpr uint32_t kLongestPart = 1u << 17;

// Where the parts of a vector end and begin.
struct VectorParts {
  std::vector<uint32_t> lengths;
  uint32_t length = 0;  // their sum
};

typedef std::vector<const float*> Vectors;

// Each part less its mean, brought to the length of its weight: [vectors, parts.length]. A part of zeros stays one.
void JoinVectors(const Vectors& raw, const float* mean, const VectorParts& parts, const float* weights, float* joined);

// products[r, c] = rows[r] · columns[c]: each part is rounded to 8 bits by a scale of its own first. Where both are the same
// vector list, half of the work is done.
void ByteProducts(const Vectors& rows, const Vectors& columns, const VectorParts& parts, double* products);

// The columns of L⁻¹, each as a row, where L Lᵀ is a symmetric matrix, [n, n], with `added` on its diagonal; it must be positive
// definite. `root` holds zeros.
void InverseRoot(const double* matrix, uint32_t n, double added, double* root);

// sums[s, k] = Σ alpha[i, s] · vectors[i][k]. `sums` holds zeros.
void WeightedSums(const Vectors& vectors, const float* alpha, uint32_t states, uint32_t length, float* sums);

}  // namespace gapcam
