// The kernels of one instruction set. The including file defines GAPCAM_TEACH_KERNELS, includes <cstring> and the headers of
// its intrinsics, and gives for products of bytes:
//
//   Lanes: a register of sums;  Zero;  Total: the sum of the lanes;  kDotStep: bytes at a time, which divide kDotBytes
//   Rows, Columns: factors of kDotStep bytes, read by LoadRow and LoadColumn;  Dot: sum + their products
//   Excess: what Dot adds too much for a column, in lanes;  kDotPair: columns whose sums are in registers at a time
//
// or defines GAPCAM_TEACH_OWN_DOTS and gives Dots.
namespace gapcam {
namespace {

#if !defined(GAPCAM_TEACH_OWN_DOTS)
void Dots(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums, size_t stride) {
  for (int c = 0; c < kDotColumns; c += kDotPair) {
    const int8_t *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3], *columns[kDotPair];
    Lanes lanes[kDotPair][kDotRows], excess[kDotPair];
    for (int p = 0; p < kDotPair; ++p) {
      columns[p] = b[c + p];
      excess[p] = Zero();
      for (Lanes& lane : lanes[p]) lane = Zero();
    }
    const int8_t* const end = a0 + bytes;
    for (; a0 != end; a0 += kDotStep, a1 += kDotStep, a2 += kDotStep, a3 += kDotStep) {
      const Rows x0 = LoadRow(a0), x1 = LoadRow(a1), x2 = LoadRow(a2), x3 = LoadRow(a3);
#pragma GCC unroll 4
      for (int p = 0; p < kDotPair; ++p) {
        const Columns y = LoadColumn(columns[p]);
        columns[p] += kDotStep;
        lanes[p][0] = Dot(lanes[p][0], x0, y), lanes[p][1] = Dot(lanes[p][1], x1, y);
        lanes[p][2] = Dot(lanes[p][2], x2, y), lanes[p][3] = Dot(lanes[p][3], x3, y);
        excess[p] = Excess(excess[p], y);
      }
    }
    for (int p = 0; p < kDotPair; ++p)
      for (int r = 0; r < kDotRows; ++r) sums[r * stride + c + p] += Total(lanes[p][r]) - Total(excess[p]);
  }
}
#endif

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
// As wide as a register of this instruction set; GCC handles wider ones badly.
#if defined(__AVX__)
constexpr int kDoubles = 4;
#else
constexpr int kDoubles = 2;
#endif
typedef double Doubles __attribute__((vector_size(kDoubles * 8)));

template <typename Vector, typename Number>
inline __attribute__((always_inline)) void Load(Vector* to, const Number* from) {
  std::memcpy(to, from, sizeof(*to));
}

float Squares(const float* from, const float* mean, uint32_t length) {
  Float4 sums = {};
  uint32_t k = 0;
  for (; k + 3 < length; k += 4) {
    Float4 x, y;
    Load(&x, from + k), Load(&y, mean + k);
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
  constexpr int kParts = kProductLanes / kDoubles;
  const double *r0 = rows[0] + from, *r1 = rows[1] + from, *r2 = rows[2] + from, *r3 = rows[3] + from;
  Doubles sums[kProductRows][kParts] = {};
  const double* const end = a + to;
  for (const double* x = a + from; x != end; x += 4, r0 += 4, r1 += 4, r2 += 4, r3 += 4)
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) {
      Doubles v, y0, y1, y2, y3;
      const int at = p * kDoubles;
      Load(&v, x + at), Load(&y0, r0 + at), Load(&y1, r1 + at), Load(&y2, r2 + at), Load(&y3, r3 + at);
      sums[0][p] += v * y0, sums[1][p] += v * y1, sums[2][p] += v * y2, sums[3][p] += v * y3;
    }
  for (int r = 0; r < kProductRows; ++r) {
    double lanes[kProductLanes];
    std::memcpy(lanes, sums[r], sizeof(lanes));
    totals[r] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  }
}

void Add(const float* const* from, const float* mean, const float* factors, uint32_t states, uint32_t length,
         float* sums) {
  uint32_t k = 0;
  for (; k + 7 < length; k += 8) {
    Float8 centre, x[kSummed];
    Load(&centre, mean + k);
#pragma GCC unroll 8
    for (int v = 0; v < kSummed; ++v) {
      Load(&x[v], from[v] + k);
      x[v] -= centre;
    }
    for (uint32_t s = 0; s < states; ++s) {
      const float* f = factors + s * kSummed;
      Float8 sum;
      Load(&sum, sums + s * length + k);
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
