#include "vectors.h"

#include <algorithm>
#include <cmath>

#include "kernels.h"

namespace gapcam {
namespace {

// Vectors in 8 bits: [vectors, stride], each part padded with zeros, and a factor for each part that brings it to the length
// of its weight.
struct ByteVectors {
  std::vector<int8_t> bytes;
  std::vector<double> factors;  // [vectors, parts]
  size_t stride = 0;
};

size_t Padded(uint32_t length) { return (length + kDotBytes - 1) / kDotBytes * kDotBytes; }

ByteVectors Rounded(const Vectors& vectors, const VectorSpace& space, const TeachKernels& kernels) {
  ByteVectors result;
  const size_t parts = space.lengths.size();
  for (uint32_t length : space.lengths) result.stride += Padded(length);
  // Tiles read whole rows and columns: the list is filled up with zeros.
  const size_t count = (vectors.size() + kDotRows - 1) / kDotRows * kDotRows;
  result.bytes.resize(count * result.stride);
  result.factors.resize(count * parts);
  for (size_t i = 0; i < vectors.size(); ++i) {
    int8_t* to = result.bytes.data() + i * result.stride;
    const float *from = vectors[i], *mean = space.mean;
    for (size_t p = 0; p < parts; ++p) {
      const uint32_t length = space.lengths[p];
      const int32_t squares = kernels.round(from, mean, length, to);
      result.factors[i * parts + p] = squares > 0 ? space.weights[p] / std::sqrt(double{1} * squares) : 0.0;
      from += length, mean += length, to += Padded(length);
    }
  }
  return result;
}

// A stretch of one part that all vectors' bytes fit the cache for.
constexpr size_t kStretch = 1024;

struct Stretch {
  size_t at, bytes;
};

// The products of one part.
class PartProducts {
 public:
  PartProducts(const ByteVectors& rows, const ByteVectors& columns, const TeachKernels& kernels)
      : rows_(rows),
        columns_(columns),
        kernels_(kernels),
        height_(rows.bytes.size() / rows.stride),
        width_(columns.bytes.size() / columns.stride),
        sums_(height_ * width_) {}

  size_t width() const { return width_; }
  const int32_t* sums() const { return sums_.data(); }

  void Compute(size_t at, size_t bytes, bool is_half) {
    std::fill(sums_.begin(), sums_.end(), 0);
    for (size_t done = 0; done < bytes; done += kStretch)
      for (size_t r = 0; r < height_; r += kDotRows)
        for (size_t c = is_half ? r : 0; c < width_; c += kDotColumns)
          Tile(r, c, {at + done, std::min(kStretch, bytes - done)});
  }

 private:
  void Tile(size_t r, size_t c, Stretch stretch) {
    const int8_t *a[kDotRows], *b[kDotColumns];
    for (int i = 0; i < kDotRows; ++i) a[i] = rows_.bytes.data() + (r + i) * rows_.stride + stretch.at;
    for (int i = 0; i < kDotColumns; ++i) b[i] = columns_.bytes.data() + (c + i) * columns_.stride + stretch.at;
    kernels_.dots(a, b, stretch.bytes, sums_.data() + r * width_ + c, width_);
  }

  const ByteVectors &rows_, &columns_;
  const TeachKernels& kernels_;
  const size_t height_, width_;
  std::vector<int32_t> sums_;
};

// What brings a part to the length of its weight.
float FactorOf(float squares, float weight) {
  return squares > 0 ? static_cast<float>(weight / std::sqrt(double{squares})) : 0.0f;
}

}  // namespace

void JoinVectors(const Vectors& raw, const VectorSpace& space, float* joined) {
  const TeachKernels& kernels = ChooseTeachKernels();
  for (const float* from : raw) {
    const float* mean = space.mean;
    for (size_t p = 0; p < space.lengths.size(); ++p) {
      const uint32_t length = space.lengths[p];
      const float factor = FactorOf(kernels.squares(from, mean, length), space.weights[p]);
      for (uint32_t k = 0; k < length; ++k) joined[k] = (from[k] - mean[k]) * factor;
      from += length, mean += length, joined += length;
    }
  }
}

void ByteProducts(const Vectors& rows, const Vectors& columns, const VectorSpace& space, double* products) {
  const TeachKernels& kernels = ChooseTeachKernels();
  const bool is_half = &rows == &columns;
  const ByteVectors right = Rounded(columns, space, kernels);
  const ByteVectors own = is_half ? ByteVectors() : Rounded(rows, space, kernels);
  const ByteVectors& left = is_half ? right : own;
  PartProducts part(left, right, kernels);
  const size_t count = space.lengths.size(), n = columns.size();
  std::fill(products, products + rows.size() * n, 0.0);
  size_t at = 0;
  for (size_t p = 0; p < count; ++p) {
    const size_t bytes = Padded(space.lengths[p]);
    part.Compute(at, bytes, is_half);
    at += bytes;
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t c = is_half ? r : 0; c < n; ++c)
        products[r * n + c] +=
            left.factors[r * count + p] * right.factors[c * count + p] * part.sums()[r * part.width() + c];
  }
  for (size_t r = 0; is_half && r < n; ++r)
    for (size_t c = 0; c < r; ++c) products[r * n + c] = products[c * n + r];
}

void WeightedSums(const Vectors& raw, const VectorSpace& space, const double* alpha, uint32_t states, float* sums) {
  const TeachKernels& kernels = ChooseTeachKernels();
  const size_t rounds = (raw.size() + kSummed - 1) / kSummed;
  std::vector<float> factors(rounds * kSummed * states), block(size_t{states} * kSumBlock);
  uint32_t start = 0;
  for (size_t p = 0; p < space.lengths.size(); ++p) {
    const uint32_t end = start + space.lengths[p];
    for (size_t i = 0; i < raw.size(); ++i) {
      const float factor = FactorOf(kernels.squares(raw[i] + start, space.mean + start, end - start), space.weights[p]);
      float* to = factors.data() + i / kSummed * kSummed * states + i % kSummed;
      for (uint32_t s = 0; s < states; ++s) to[s * kSummed] = static_cast<float>(alpha[i * states + s] * factor);
    }
    for (uint32_t first = start; first < end; first += kSumBlock) {
      const uint32_t length = std::min(kSumBlock, end - first);
      std::fill(block.begin(), block.begin() + states * length, 0.0f);
      for (size_t round = 0; round < rounds; ++round) {
        // What is missing in the last round is zero: the mean less itself.
        const float* from[kSummed];
        for (size_t v = 0; v < kSummed; ++v) {
          const size_t i = round * kSummed + v;
          from[v] = (i < raw.size() ? raw[i] : space.mean) + first;
        }
        kernels.add(from, space.mean + first, factors.data() + round * kSummed * states, states, length, block.data());
      }
      for (uint32_t k = 0; k < length; ++k)
        for (uint32_t s = 0; s < states; ++s) sums[size_t{first + k} * states + s] = block[size_t{s} * length + k];
    }
    start = end;
  }
}

}  // namespace gapcam
