#include "fit.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "dots.h"

namespace gapcam {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef double Double2 __attribute__((vector_size(16)));

inline Float4 LoadFour(const float* from) {
  Float4 to;
  std::memcpy(&to, from, sizeof(to));
  return to;
}

inline Double2 LoadTwo(const double* from) {
  Double2 to;
  std::memcpy(&to, from, sizeof(to));
  return to;
}

// Four running sums: of the elements k, k + 1, k + 2 and k + 3. What is left over at the end joins the first.
struct FourSums {
  Double2 front = {}, back = {};

  double Total(double rest) const { return rest + front[1] + (back[0] + back[1]); }
};

// Vectors in 8 bits: [vectors, stride], each part padded with zeros, and a scale for each part.
struct ByteVectors {
  std::vector<int8_t> bytes;
  std::vector<double> scales;  // [vectors, parts]
  size_t stride = 0;
};

size_t Padded(uint32_t length) { return (length + kDotBytes - 1) / kDotBytes * kDotBytes; }

// Of the magnitudes. As whole numbers their bits have the same order.
float LargestOf(const float* from, uint32_t length) {
  int32_t largest = 0;
  for (uint32_t k = 0; k < length; ++k) {
    int32_t bits;
    std::memcpy(&bits, from + k, sizeof(bits));
    bits &= INT32_MAX;
    largest = bits > largest ? bits : largest;
  }
  float value;
  std::memcpy(&value, &largest, sizeof(value));
  return value;
}

// To the nearest whole number, halves to the even one: adding this leaves no fraction.
constexpr float kRound = 12582912.0f;  // 1.5 · 2^23

void RoundPart(const float* from, uint32_t length, int8_t* to, double* scale) {
  const float largest = LargestOf(from, length);
  const float factor = largest > 0 ? 127.0f / largest : 0.0f;
  for (uint32_t k = 0; k < length; ++k)
    to[k] = static_cast<int8_t>(static_cast<int32_t>((from[k] * factor + kRound) - kRound));
  *scale = static_cast<double>(largest) / 127.0;
}

ByteVectors Rounded(const Vectors& vectors, const VectorParts& parts) {
  ByteVectors result;
  for (uint32_t length : parts.lengths) result.stride += Padded(length);
  // Tiles read whole rows and columns: the list is filled up with zeros.
  const size_t count = (vectors.size() + kDotRows - 1) / kDotRows * kDotRows;
  result.bytes.resize(count * result.stride);
  result.scales.resize(count * parts.lengths.size());
  for (size_t i = 0; i < vectors.size(); ++i) {
    int8_t* to = result.bytes.data() + i * result.stride;
    const float* from = vectors[i];
    double* scale = result.scales.data() + i * parts.lengths.size();
    for (uint32_t length : parts.lengths) {
      RoundPart(from, length, to, scale++);
      from += length, to += Padded(length);
    }
  }
  return result;
}

// A stretch of one part that all vectors' bytes fit the cache for.
constexpr size_t kStretch = 1024;

struct Stretch {
  size_t at, bytes;
};

// Adds the products of one part to the matrix.
class PartProducts {
 public:
  PartProducts(const ByteVectors& rows, const ByteVectors& columns, DotTile tile)
      : rows_(rows),
        columns_(columns),
        tile_(tile),
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
    int32_t tile[kDotRows * kDotColumns] = {};
    tile_(a, b, stretch.bytes, tile);
    for (int i = 0; i < kDotRows; ++i)
      for (int j = 0; j < kDotColumns; ++j) sums_[(r + i) * width_ + c + j] += tile[i * kDotColumns + j];
  }

  const ByteVectors &rows_, &columns_;
  const DotTile tile_;
  const size_t height_, width_;
  std::vector<int32_t> sums_;
};

inline double RowProduct(const double* a, const double* b, uint32_t from, uint32_t to) {
  FourSums sums;
  uint32_t k = from;
  for (; k + 3 < to; k += 4) {
    sums.front += LoadTwo(a + k) * LoadTwo(b + k);
    sums.back += LoadTwo(a + k + 2) * LoadTwo(b + k + 2);
  }
  double first = sums.front[0];
  for (; k < to; ++k) first += a[k] * b[k];
  return sums.Total(first);
}

double SquaresOf(const float* raw, const float* mean, uint32_t length) {
  FourSums sums;
  uint32_t k = 0;
  for (; k + 3 < length; k += 4) {
    const Float4 d = LoadFour(raw + k) - LoadFour(mean + k);
    const Double2 front = {d[0], d[1]}, back = {d[2], d[3]};
    sums.front += front * front, sums.back += back * back;
  }
  double first = sums.front[0];
  for (; k < length; ++k) {
    const double d = raw[k] - mean[k];
    first += d * d;
  }
  return sums.Total(first);
}

}  // namespace

void JoinVectors(const Vectors& raw, const float* mean, const VectorParts& parts, const float* weights, float* joined) {
  for (const float* from : raw) {
    const float* centre = mean;
    for (size_t p = 0; p < parts.lengths.size(); ++p) {
      const uint32_t length = parts.lengths[p];
      const double squares = SquaresOf(from, centre, length);
      const float factor =
          squares > 0 ? static_cast<float>(static_cast<double>(weights[p]) / std::sqrt(squares)) : 0.0f;
      for (uint32_t k = 0; k < length; ++k) joined[k] = (from[k] - centre[k]) * factor;
      from += length, centre += length, joined += length;
    }
  }
}

void ByteProducts(const Vectors& rows, const Vectors& columns, const VectorParts& parts, double* products) {
  const bool is_half = &rows == &columns;
  const ByteVectors right = Rounded(columns, parts);
  const ByteVectors own = is_half ? ByteVectors() : Rounded(rows, parts);
  const ByteVectors& left = is_half ? right : own;
  PartProducts part(left, right, ChooseDotTile());
  const size_t count = parts.lengths.size(), n = columns.size();
  std::fill(products, products + rows.size() * n, 0.0);
  size_t at = 0;
  for (size_t p = 0; p < count; ++p) {
    const size_t bytes = Padded(parts.lengths[p]);
    part.Compute(at, bytes, is_half);
    at += bytes;
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t c = is_half ? r : 0; c < n; ++c)
        products[r * n + c] +=
            left.scales[r * count + p] * right.scales[c * count + p] * part.sums()[r * part.width() + c];
  }
  for (size_t r = 0; is_half && r < n; ++r)
    for (size_t c = 0; c < r; ++c) products[r * n + c] = products[c * n + r];
}

void InverseRoot(const double* matrix, uint32_t n, double added, double* root) {
  std::vector<double> factors(matrix, matrix + size_t{n} * n);
  for (uint32_t i = 0; i < n; ++i) factors[size_t{i} * n + i] += added;
  const auto row = [n](double* of, uint32_t i) { return of + size_t{i} * n; };
  for (uint32_t j = 0; j < n; ++j) {
    double* own = row(factors.data(), j);
    const double least = std::numeric_limits<double>::denorm_min();
    own[j] = std::sqrt(std::max(own[j] - RowProduct(own, own, 0, j), least));
    for (uint32_t i = j + 1; i < n; ++i) {
      double* other = row(factors.data(), i);
      other[j] = (other[j] - RowProduct(other, own, 0, j)) / own[j];
    }
  }
  for (uint32_t i = 0; i < n; ++i) {
    const double* factor = row(factors.data(), i);
    for (uint32_t c = 0; c < i; ++c) row(root, c)[i] = -RowProduct(factor, row(root, c), c, i) / factor[i];
    row(root, i)[i] = 1 / factor[i];
  }
}

void WeightedSums(const Vectors& vectors, const float* alpha, uint32_t states, uint32_t length, float* sums) {
  constexpr uint32_t kBlock = 1024;  // the sums of a block stay in the first cache
  const std::vector<float> nothing(length);
  for (uint32_t first = 0; first < length; first += kBlock) {
    const uint32_t end = std::min(length, first + kBlock);
    for (size_t i = 0; i < vectors.size(); i += 4) {
      const float* from[4];
      for (size_t v = 0; v < 4; ++v) from[v] = i + v < vectors.size() ? vectors[i + v] : nothing.data();
      for (uint32_t s = 0; s < states; ++s) {
        float factors[4];
        for (size_t v = 0; v < 4; ++v) factors[v] = i + v < vectors.size() ? alpha[(i + v) * states + s] : 0;
        float* to = sums + size_t{s} * length;
        for (uint32_t k = first; k < end; ++k)
          to[k] +=
              (factors[0] * from[0][k] + factors[1] * from[1][k]) + (factors[2] * from[2][k] + factors[3] * from[3][k]);
      }
    }
  }
}

}  // namespace gapcam
