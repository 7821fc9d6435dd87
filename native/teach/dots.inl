// One tile of products of bytes. The including file defines GAPCAM_DOT_NAME and includes the headers of its intrinsics.
//
//   Lanes: a register of sums;  Load: kDotStep bytes as factors;  Dot: sum + their products;  Total: the sum of the lanes
//   kDotPair: columns whose sums are in registers at a time
namespace gapcam {

void GAPCAM_DOT_NAME(const int8_t* const* a, const int8_t* const* b, size_t bytes, int32_t* sums) {
  const int8_t *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3];
  for (int c = 0; c < kDotColumns; c += kDotPair) {
    Lanes lanes[kDotPair][kDotRows];
    for (auto& column : lanes)
      for (Lanes& lane : column) lane = Zero();
    for (size_t k = 0; k < bytes; k += kDotStep) {
      const Factors x0 = Load(a0 + k), x1 = Load(a1 + k), x2 = Load(a2 + k), x3 = Load(a3 + k);
#pragma GCC unroll 4
      for (int p = 0; p < kDotPair; ++p) {
        const Factors y = Load(b[c + p] + k);
        lanes[p][0] = Dot(lanes[p][0], x0, y), lanes[p][1] = Dot(lanes[p][1], x1, y);
        lanes[p][2] = Dot(lanes[p][2], x2, y), lanes[p][3] = Dot(lanes[p][3], x3, y);
      }
    }
    for (int r = 0; r < kDotRows; ++r)
      for (int p = 0; p < kDotPair; ++p) sums[r * kDotColumns + c + p] += Total(lanes[p][r]);
  }
}

}  // namespace gapcam
