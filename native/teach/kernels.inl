// The kernels of one instruction set. The including file defines GAPCAM_TEACH_KERNELS, includes <cstring> and the headers of
// its intrinsics, and gives for products of bytes:
//
//   Lanes: a register of sums;  Zero;  Total: the sum of the lanes;  kDotStep: bytes at a time, which divide kDotBytes
//   Rows, Columns: factors of kDotStep bytes, read by LoadRow and LoadColumn;  Dot: sum + their products
//   Excess: what Dot adds too much for a column, in lanes;  kDotPair: columns whose sums are in registers at a time
namespace gapcam {
namespace {

void Dots(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums) {
  const int8_t *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3];
  for (int c = 0; c < kDotColumns; c += kDotPair) {
    Lanes lanes[kDotPair][kDotRows], excess[kDotPair];
    for (int p = 0; p < kDotPair; ++p) {
      excess[p] = Zero();
      for (Lanes& lane : lanes[p]) lane = Zero();
    }
    for (size_t k = 0; k < bytes; k += kDotStep) {
      const Rows x0 = LoadRow(a0 + k), x1 = LoadRow(a1 + k), x2 = LoadRow(a2 + k), x3 = LoadRow(a3 + k);
#pragma GCC unroll 4
      for (int p = 0; p < kDotPair; ++p) {
        const Columns y = LoadColumn(b[c + p] + k);
        lanes[p][0] = Dot(lanes[p][0], x0, y), lanes[p][1] = Dot(lanes[p][1], x1, y);
        lanes[p][2] = Dot(lanes[p][2], x2, y), lanes[p][3] = Dot(lanes[p][3], x3, y);
        excess[p] = Excess(excess[p], y);
      }
    }
    for (int p = 0; p < kDotPair; ++p)
      for (int r = 0; r < kDotRows; ++r) sums[r * kDotColumns + c + p] += Total(lanes[p][r]) - Total(excess[p]);
  }
}

inline int32_t BitsOf(float value) {
  int32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

int32_t Round(const float* from, const float* mean, uint32_t length, int8_t* to) {
  // As whole numbers the bits of magnitudes have the same order.
  int32_t largest = 0;
  for (uint32_t k = 0; k < length; ++k) {
    const int32_t bits = BitsOf(from[k] - mean[k]) & INT32_MAX;
    largest = bits > largest ? bits : largest;
  }
  float most;
  std::memcpy(&most, &largest, sizeof(most));
  const float factor = most > 0 ? 127.0f / most : 0.0f;
  // Adding this leaves no fraction, and the whole number in the lowest bits.
  constexpr float kRound = 12582912.0f;  // 1.5 · 2^23
  for (uint32_t k = 0; k < length; ++k) to[k] = static_cast<int8_t>(BitsOf((from[k] - mean[k]) * factor + kRound));
  int32_t squares = 0;
  for (uint32_t k = 0; k < length; ++k) squares += to[k] * to[k];
  return squares;
}

typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef double Double4 __attribute__((vector_size(32)));

float Squares(const float* from, const float* mean, uint32_t length) {
  Float4 sums = {};
  uint32_t k = 0;
  for (; k + 3 < length; k += 4) {
    Float4 x, y;
    std::memcpy(&x, from + k, sizeof(x)), std::memcpy(&y, mean + k, sizeof(y));
    x -= y;
    sums += x * x;
  }
  for (int lane = 0; k < length; ++k, ++lane) {
    const float x = from[k] - mean[k];
    sums[lane] += x * x;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void Products(const double* a, const double* const* rows, uint32_t from, uint32_t to, double* totals) {
  const double *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  Double4 s0 = {}, s1 = {}, s2 = {}, s3 = {};
  for (uint32_t k = from; k < to; k += 4) {
    Double4 x, y0, y1, y2, y3;
    std::memcpy(&x, a + k, sizeof(x));
    std::memcpy(&y0, r0 + k, sizeof(y0)), std::memcpy(&y1, r1 + k, sizeof(y1));
    std::memcpy(&y2, r2 + k, sizeof(y2)), std::memcpy(&y3, r3 + k, sizeof(y3));
    s0 += x * y0, s1 += x * y1, s2 += x * y2, s3 += x * y3;
  }
  totals[0] = (s0[0] + s0[1]) + (s0[2] + s0[3]);
  totals[1] = (s1[0] + s1[1]) + (s1[2] + s1[3]);
  totals[2] = (s2[0] + s2[1]) + (s2[2] + s2[3]);
  totals[3] = (s3[0] + s3[1]) + (s3[2] + s3[3]);
}

void Add(const float* const* from, const float* mean, const float* factors, uint32_t states, uint32_t length,
         float* sums) {
  uint32_t k = 0;
  for (; k + 7 < length; k += 8) {
    Float8 centre, x[kSummed];
    std::memcpy(&centre, mean + k, sizeof(centre));
#pragma GCC unroll 8
    for (int v = 0; v < kSummed; ++v) {
      std::memcpy(&x[v], from[v] + k, sizeof(x[v]));
      x[v] -= centre;
    }
    for (uint32_t s = 0; s < states; ++s) {
      const float* f = factors + s * kSummed;
      Float8 sum;
      std::memcpy(&sum, sums + s * length + k, sizeof(sum));
      sum += ((x[0] * f[0] + x[1] * f[1]) + (x[2] * f[2] + x[3] * f[3])) +
             ((x[4] * f[4] + x[5] * f[5]) + (x[6] * f[6] + x[7] * f[7]));
      std::memcpy(sums + s * length + k, &sum, sizeof(sum));
    }
  }
  for (; k < length; ++k)
    for (uint32_t s = 0; s < states; ++s) {
      float p[kSummed];
      for (int v = 0; v < kSummed; ++v) p[v] = (from[v][k] - mean[k]) * factors[s * kSummed + v];
      sums[s * length + k] += ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]));
    }
}

}  // namespace

const TeachKernels GAPCAM_TEACH_KERNELS = {Dots, Round, Squares, Products, Add};

}  // namespace gapcam
