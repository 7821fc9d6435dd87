// One tile of products of bytes. The including file defines GAPCAM_DOT_NAME, and includes the headers of its intrinsics.
//
//   Lanes: a register of sums;  Load: kDotStep bytes as factors;  Dot: sum + their products;  Total: the sum of the lanes
namespace gapcam {

void GAPCAM_DOT_NAME(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums) {
  const int8_t *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3];
  for (int c = 0; c < kDotColumns; c += kDotPair) {
    Lanes lanes[kDotRows][kDotPair];
    for (auto& row : lanes)
      for (Lanes& lane : row) lane = Zero();
    const int8_t* b0 = b[c];
    const int8_t* b1 = b[c + kDotPair - 1];
    for (size_t k = 0; k < bytes; k += kDotStep) {
      const Factors x0 = Load(a0 + k), x1 = Load(a1 + k), x2 = Load(a2 + k), x3 = Load(a3 + k);
      const Factors y0 = Load(b0 + k);
      lanes[0][0] = Dot(lanes[0][0], x0, y0), lanes[1][0] = Dot(lanes[1][0], x1, y0);
      lanes[2][0] = Dot(lanes[2][0], x2, y0), lanes[3][0] = Dot(lanes[3][0], x3, y0);
      if constexpr (kDotPair > 1) {
        const Factors y1 = Load(b1 + k);
        lanes[0][1] = Dot(lanes[0][1], x0, y1), lanes[1][1] = Dot(lanes[1][1], x1, y1);
        lanes[2][1] = Dot(lanes[2][1], x2, y1), lanes[3][1] = Dot(lanes[3][1], x3, y1);
      }
    }
    for (int r = 0; r < kDotRows; ++r)
      for (int p = 0; p < kDotPair; ++p) sums[r * kDotColumns + c + p] += Total(lanes[r][p]);
  }
}

}  // namespace gapcam
