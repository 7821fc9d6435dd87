// The right operand of every product: weights packed in panels of kPanel columns, with their bias.
//
//   packed:  panel 0                     panel 1 …      A panel holds kPanel columns. The last one holds those that are
//            k=0: w[0][0…kPanel)         k=0: …         left, rounded up to whole grains of kGrain columns and padded
//            k=1: w[1][0…kPanel)         k=1: …         with zeros.
//            …                           …
namespace gapcam {
namespace {

// Columns of a whole panel, and the columns to which the last panel is rounded up.
constexpr int kPanel = (kIsNeon ? 3 : 2) * kLanes;
#if defined(GAPCAM_TARGET_AVX512)
constexpr int kGrain = kHalfLanes;
#else
constexpr int kGrain = kLanes;
#endif

// Packed weights of a product, in session memory.
struct GemmWeights {
  const E* packed;
  const E* bias;     // padded to whole panels; zeros if the step has no bias
  uint32_t columns;  // N
  uint32_t depth;    // K = (taps - 1) · run + last
};

// Floats of a packed [depth,columns] matrix.
GAPCAM_INLINE size_t PackedFloats(uint32_t depth, uint32_t columns) {
  return static_cast<size_t>(depth) * CeilDiv(columns, kGrain) * kGrain;
}

// Columns of the packed panel that begins at column n0, padding included.
GAPCAM_INLINE uint32_t PanelWidth(uint32_t columns, uint32_t n0) {
  return Least(kPanel, CeilDiv(columns - n0, kGrain) * kGrain);
}

// Packs a [depth,columns] matrix whose element (k, n) is w[k * k_stride + n * n_stride].
static void PackWeights(const float* w, size_t k_stride, size_t n_stride, uint32_t depth, uint32_t columns, E* packed) {
  for (uint32_t n0 = 0; n0 < columns; n0 += kPanel) {
    const uint32_t width = PanelWidth(columns, n0);
    for (uint32_t k = 0; k < depth; ++k) {
      for (uint32_t j = 0; j < width; ++j)
        *packed++ = n0 + j < columns ? static_cast<E>(w[k * k_stride + (n0 + j) * n_stride]) : E{0};
    }
  }
}

#if !defined(GAPCAM_TARGET_HALF)
// Packs only the panel that begins at n0, from a row-major matrix, a vector at a time: for operands packed in every
// frame.
static void PackPanel(const E* w, uint32_t depth, uint32_t columns, uint32_t n0, E* packed) {
  const uint32_t width = PanelWidth(columns, n0), filled = Least(width, columns - n0);
  for (uint32_t k = 0; k < depth; ++k, packed += width) {
    const E* from = w + static_cast<size_t>(k) * columns + n0;
    for (uint32_t j = 0; j < width; j += kLanes) {
      const int lanes = static_cast<int>(Least(kLanes, width - j));
      const V v = j + kLanes <= filled ? Load(from + j)
                  : j < filled         ? LoadN(from + j, static_cast<int>(filled - j))
                                       : Zero();
      lanes == kLanes ? Store(packed + j, v) : StoreN(packed + j, v, lanes);
    }
  }
}
#endif

// Packs weights and bias into session memory. A null bias gives zeros. Returns false when memory is short.
static bool MakeGemmWeights(const float* w, size_t k_stride, size_t n_stride, uint32_t depth, uint32_t columns,
                            const float* bias, Allocator& memory, GemmWeights* result) {
  E* packed = static_cast<E*>(memory.Allocate(PackedFloats(depth, columns) * sizeof(E)));
  E* padded = static_cast<E*>(memory.Allocate((columns + kPanel) * sizeof(E)));
  if (!packed || !padded) return false;
  PackWeights(w, k_stride, n_stride, depth, columns, packed);
  if (bias) Convert(bias, columns, padded);
  *result = {packed, padded, columns, depth};
  return true;
}

}  // namespace
}  // namespace gapcam
