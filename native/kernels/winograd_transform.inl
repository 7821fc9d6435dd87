// The transforms of Winograd's minimal filtering F(m×m, 3×3) and the weights transformed by them.
//
//   V = Bᵀ d B       of an input tile d of (m+2)×(m+2) pixels       Input, once per axis
//   U = G g Gᵀ       of a 3×3 kernel g, when a session opens        Kernel, once per axis
//   y = Aᵀ M A       of the products M = U ⊙ V, to m×m outputs      Output, once per axis
//
// Packed weights: per panel of output channels [position of the (m+2)² tile][input channel][panel width].
namespace gapcam {
namespace {

// F(2×2, 3×3) with the points 0, 1, -1 and infinity.
struct Winograd2 {
  static constexpr int kOut = 2, kIn = 4;
  GAPCAM_INLINE void Input(const V* d, V* v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
  }
  GAPCAM_INLINE void Output(const V* m, V* y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
  }
  static void Kernel(const double* g, double* u) {
    u[0] = g[0];
    u[1] = (g[0] + g[1] + g[2]) / 2;
    u[2] = (g[0] - g[1] + g[2]) / 2;
    u[3] = g[2];
  }
};

// F(4×4, 3×3) with the points 0, ±1/√2, ±√2 and infinity. Their error is smaller than that of the usual 0, ±1, ±2;
// kernels_test.cc bounds it.
struct Winograd4 {
  static constexpr int kOut = 4, kIn = 6;
  static constexpr float kRoot = 1.41421356237309505f;
  GAPCAM_INLINE void Input(const V* d, V* v) {
    // The polynomial with these points as roots: x (x² - 1/2)(x² - 2) = x (x⁴ - 5/2 x² + 1). A product is added to a sum that
    // nothing else needs, which saves a copy.
    const V a = d[4] - Set(2.0f) * d[2], b = d[3] - Set(2.0f) * d[1];
    const V c = d[4] - Set(0.5f) * d[2], e = d[3] - Set(0.5f) * d[1];
    v[0] = (d[0] + d[4]) - Set(2.5f) * d[2];
    v[1] = a + Set(kRoot / 2) * b;
    v[2] = a - Set(kRoot / 2) * b;
    v[3] = c + Set(kRoot) * e;
    v[4] = c - Set(kRoot) * e;
    v[5] = (d[1] + d[5]) - Set(2.5f) * d[3];
  }
  GAPCAM_INLINE void Output(const V* m, V* y) {
    const V a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];
    y[0] = m[0] + a + c;
    y[1] = Set(kRoot / 2) * b + Set(kRoot) * e;
    y[2] = Set(0.5f) * a + Set(2.0f) * c;
    y[3] = (m[5] + Set(kRoot / 4) * b) + Set(2 * kRoot) * e;
  }
  static void Kernel(const double* g, double* u) {
    constexpr double root = 1.41421356237309505;
    const double even = g[0] + g[2] / 2, odd = g[1] * root / 2, far = g[0] + 2 * g[2], far_odd = g[1] * root;
    // The factors 1 / (p · derivative of the polynomial at p): -2/3 at ±1/√2, 1/6 at ±√2, 1 at 0.
    u[0] = g[0];
    u[1] = (even + odd) * (-2.0 / 3);
    u[2] = (even - odd) * (-2.0 / 3);
    u[3] = (far + far_odd) / 6;
    u[4] = (far - far_odd) / 6;
    u[5] = g[2];
  }
};

// Transforms the weights w [features][channels][3][3] in double precision and packs them as the product reads them.
template <class F>
static void PackWinogradWeights(const float* w, const ConvShape& s, E* packed) {
  constexpr int kIn = F::kIn;
  for (uint32_t n = 0; n < s.features; n += kPanel) {
    const uint32_t width = PanelWidth(s.features, n);
    for (uint32_t j = 0; j < width && n + j < s.features; ++j) {
      for (uint32_t c = 0; c < s.channels; ++c) {
        const float* g = w + (static_cast<size_t>(n + j) * s.channels + c) * 9;
        double half[3][kIn];
        for (int i = 0; i < 3; ++i) {
          const double line[3] = {g[i * 3], g[i * 3 + 1], g[i * 3 + 2]};
          F::Kernel(line, half[i]);
        }
        for (int b = 0; b < kIn; ++b) {
          const double line[3] = {half[0][b], half[1][b], half[2][b]};
          double u[kIn];
          F::Kernel(line, u);
          for (int a = 0; a < kIn; ++a)
            packed[(static_cast<size_t>(a * kIn + b) * s.channels + c) * width + j] = static_cast<E>(u[a]);
        }
      }
    }
    packed += static_cast<size_t>(kIn * kIn) * s.channels * width;
  }
}

}  // namespace
}  // namespace gapcam
