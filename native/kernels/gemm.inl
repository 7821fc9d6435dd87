// The product at the heart of convolution and dense layers: rows of activations, given by pointers, times panels of
// packed weights, with bias, residual and activation applied before the result is stored.
//
//   weights, packed:  panel 0                        panel 1 …        a panel has kPanel columns, the last one may
//                     k=0: w[0][0…kPanel)             k=0: …           have half (kLanes) where that is enough
//                     k=1: w[1][0…kPanel)
//
// A row of the left operand is `taps` runs of `run` floats each, anywhere in memory: for 1×1 one run of C, for k×k
// one run of kernelW·C a kernel row, so that no im2col buffer is written.
namespace gapcam {
namespace {

#if defined(GAPCAM_TARGET_AVX512)
constexpr int kTileRows = 14;  // 14×2 accumulators + 2 weights + 1 broadcast of 32 registers
#elif defined(GAPCAM_TARGET_AVX2)
constexpr int kTileRows = 6;  // 6×2 + 2 + 1 of 16
#else
constexpr int kTileRows = 8;  // NEON: 8×2 + 8 + 2 of 32
#endif
constexpr int kPanel = 2 * kLanes;

struct GemmWeights {
  const float* packed;
  const float* bias;  // padded to whole panels; zeros where the step has none
  uint32_t columns;   // N
  uint32_t depth;     // K = taps · run
};

// Where the results of one row go: y and residual rows, either null; sums of a pooled output, padded to panels.
struct GemmOut {
  float* y;
  const float* residual;
  float* sums;
  uint32_t stride;  // floats from one row of y (and residual) to the next
};

GAPCAM_INLINE size_t PackedFloats(uint32_t depth, uint32_t columns) {
  return static_cast<size_t>(depth) * CeilDiv(columns, kLanes) * kLanes;
}

// Packs columns of a [K,N] matrix given by strides.
static void PackWeights(const float* w, size_t k_stride, size_t n_stride, uint32_t depth, uint32_t columns, float* packed) {
  for (uint32_t n0 = 0; n0 < columns; n0 += kPanel) {
    const uint32_t width = Least(kPanel, CeilDiv(columns - n0, kLanes) * kLanes);
    for (uint32_t k = 0; k < depth; ++k) {
      for (uint32_t j = 0; j < width; ++j) *packed++ = n0 + j < columns ? w[k * k_stride + (n0 + j) * n_stride] : 0.0f;
    }
  }
}

template <int kRows, int kVectors>
GAPCAM_INLINE void Finish(V (&acc)[kRows][kVectors], const GemmOut& out, uint32_t n0, uint32_t columns, const Activation& act) {
  for (int v = 0; v < kVectors; ++v) {
    const uint32_t n = n0 + v * kLanes;
    if (n >= columns) break;
    const int count = static_cast<int>(Least(kLanes, columns - n));
    V sum = Zero();
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      V value = acc[r][v];
      if (out.residual) value += LoadN(out.residual + static_cast<size_t>(r) * out.stride + n, count);
      value = Activate(act, value);
      if (out.sums) sum += value;
      if (out.y) {
        float* to = out.y + static_cast<size_t>(r) * out.stride + n;
        if (count == kLanes) Store(to, value);
        else StoreN(to, value, count);
      }
    }
    if (out.sums) Store(out.sums + n, Load(out.sums + n) + sum);
  }
}

// kRows rows times one panel of kVectors vectors. rows[t * row_step + r] is run t of row r.
template <int kRows, int kVectors>
static void Tile(const float* const* rows, uint32_t row_step, uint32_t taps, uint32_t run, const float* w, const float* bias, const GemmOut& out,
                 uint32_t n0, uint32_t columns, const Activation& act) {
  V acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) acc[r][v] = Load(bias + v * kLanes);
  }
  for (uint32_t t = 0; t < taps; ++t, rows += row_step) {
    const float* a[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) a[r] = rows[r];
    uint32_t k = 0;
#if defined(GAPCAM_TARGET_NEON)
    // Four k at a time: the left operand comes as vectors, and a lane of them multiplies each weight vector.
    for (; k + 4 <= run; k += 4) {
      V x[kRows];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) x[r] = Load(a[r] + k);
#define GAPCAM_LANE(lane)                                                                       \
  {                                                                                             \
    V b[kVectors];                                                                              \
    _Pragma("GCC unroll 4") for (int v = 0; v < kVectors; ++v) b[v] = Load(w + v * kLanes);      \
    _Pragma("GCC unroll 16") for (int r = 0; r < kRows; ++r) {                                  \
      _Pragma("GCC unroll 4") for (int v = 0; v < kVectors; ++v)                                \
          acc[r][v] = vfmaq_laneq_f32(acc[r][v], b[v], x[r], lane);                             \
    }                                                                                           \
    w += kVectors * kLanes;                                                                     \
  }
      GAPCAM_LANE(0) GAPCAM_LANE(1) GAPCAM_LANE(2) GAPCAM_LANE(3)
#undef GAPCAM_LANE
    }
#endif
    for (; k < run; ++k, w += kVectors * kLanes) {
      V b[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) b[v] = Load(w + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const V x = Set(a[r][k]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) acc[r][v] = x * b[v] + acc[r][v];
      }
    }
  }
  Finish<kRows, kVectors>(acc, out, n0, columns, act);
}

typedef void (*TileFunction)(const float* const*, uint32_t, uint32_t, uint32_t, const float*, const float*, const GemmOut&, uint32_t, uint32_t,
                             const Activation&);

template <int kVectors>
GAPCAM_INLINE TileFunction TileOf(uint32_t rows) {
  switch (rows) {
    case 1: return Tile<1, kVectors>;
    case 2: return Tile<2, kVectors>;
    case 3: return Tile<3, kVectors>;
    case 4: return Tile<4, kVectors>;
    case 5: return Tile<5, kVectors>;
    case 6: return Tile<6, kVectors>;
#if !defined(GAPCAM_TARGET_AVX2)
    case 7: return Tile<7, kVectors>;
    case 8: return Tile<8, kVectors>;
#endif
#if defined(GAPCAM_TARGET_AVX512)
    case 9: return Tile<9, kVectors>;
    case 10: return Tile<10, kVectors>;
    case 11: return Tile<11, kVectors>;
    case 12: return Tile<12, kVectors>;
    case 13: return Tile<13, kVectors>;
    case 14: return Tile<14, kVectors>;
#endif
    default: return nullptr;
  }
}

// How many of `count` rows the next tile takes, so that the last one is not left with a few.
GAPCAM_INLINE uint32_t EvenPart(uint32_t count) { return CeilDiv(count, CeilDiv(count, kTileRows)); }

// `count` rows times columns [n_first, n_last) (n_first a multiple of kPanel). rows[t * count + r]; out is that of row 0.
static void Multiply(const GemmWeights& weights, const float* const* rows, uint32_t count, uint32_t taps, uint32_t run, const GemmOut& out,
                     uint32_t n_first, uint32_t n_last, const Activation& act) {
  for (uint32_t n0 = n_first; n0 < n_last; n0 += kPanel) {
    const float* w = weights.packed + static_cast<size_t>(n0) * weights.depth;
    const bool is_wide = weights.columns - n0 > static_cast<uint32_t>(kLanes);
    for (uint32_t m = 0, part; m < count; m += part) {
      part = EvenPart(count - m);
      GemmOut at = out;
      if (at.y) at.y += static_cast<size_t>(m) * out.stride;
      if (at.residual) at.residual += static_cast<size_t>(m) * out.stride;
      const TileFunction tile = is_wide ? TileOf<2>(part) : TileOf<1>(part);
      tile(rows + m, count, taps, run, w, weights.bias + n0, at, n0, weights.columns, act);
    }
  }
}

// Packs weights and bias into session memory. Null bias gives zeros. Returns false when memory is short.
static bool MakeGemmWeights(const float* w, size_t k_stride, size_t n_stride, uint32_t depth, uint32_t columns, const float* bias, Allocator& memory,
                            GemmWeights* result) {
  float* packed = static_cast<float*>(memory.Allocate(PackedFloats(depth, columns) * sizeof(float)));
  float* padded = static_cast<float*>(memory.Allocate((columns + kPanel) * sizeof(float)));
  if (!packed || !padded) return false;
  PackWeights(w, k_stride, n_stride, depth, columns, packed);
  if (bias) std::memcpy(padded, bias, columns * sizeof(float));
  *result = {packed, padded, columns, depth};
  return true;
}

}  // namespace
}  // namespace gapcam
