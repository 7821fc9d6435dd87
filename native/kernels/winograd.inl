// 3×3 convolution with stride 1 by Winograd's minimal filtering F(m×m, 3×3): a tile of m×m outputs costs (m+2)²
// products instead of 9m², a quarter for m = 4, for some additions before and after.
//
//   input tile d ─ Bᵀ d B ─▶ V        per position of the (m+2)² tile: V [tiles, C] × U [C, N] = M [tiles, N]
//   kernel g ── G g Gᵀ (at open) ─▶ U                              M ─ Aᵀ M A ─▶ m×m outputs + bias …
//
// After S. Winograd (1980) and A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2015).
namespace gapcam {
namespace {

// F(2×2): points 0, 1, -1 and infinity. Exact but for rounding.
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

// F(4×4): points 0, ±1/√2, ±√2 and infinity, whose error is smaller than that of 0, ±1, ±2; kernels_test.cc bounds it.
struct Winograd4 {
  static constexpr int kOut = 4, kIn = 6;
  static constexpr float kRoot = 1.41421356237309505f;
  GAPCAM_INLINE void Input(const V* d, V* v) {
    // The polynomial of the points is x (x² - 1/2)(x² - 2) = x (x⁴ - 5/2 x² + 1).
    const V a = d[4] - Set(2.0f) * d[2], b = d[3] - Set(2.0f) * d[1];
    const V c = d[4] - Set(0.5f) * d[2], e = d[3] - Set(0.5f) * d[1];
    v[0] = d[0] - Set(2.5f) * d[2] + d[4];
    v[1] = a + Set(kRoot / 2) * b;
    v[2] = a - Set(kRoot / 2) * b;
    v[3] = c + Set(kRoot) * e;
    v[4] = c - Set(kRoot) * e;
    v[5] = d[1] - Set(2.5f) * d[3] + d[5];
  }
  GAPCAM_INLINE void Output(const V* m, V* y) {
    const V a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];
    y[0] = m[0] + a + c;
    y[1] = Set(kRoot / 2) * b + Set(kRoot) * e;
    y[2] = Set(0.5f) * a + Set(2.0f) * c;
    y[3] = Set(kRoot / 4) * b + Set(2 * kRoot) * e + m[5];
  }
  static void Kernel(const double* g, double* u) {
    constexpr double root = 1.41421356237309505;
    const double even = g[0] + g[2] / 2, odd = g[1] * root / 2, far = g[0] + 2 * g[2], far_odd = g[1] * root;
    // 1 / (p_i · derivative of the polynomial at p_i): -2/3 at ±1/√2, 1/6 at ±√2, 1 at 0.
    u[0] = g[0];
    u[1] = (even + odd) * (-2.0 / 3);
    u[2] = (even - odd) * (-2.0 / 3);
    u[3] = (far + far_odd) / 6;
    u[4] = (far - far_odd) / 6;
    u[5] = g[2];
  }
};

// F is Winograd2 or Winograd4.
template <class F>
class ConvWinograd final : public Op, public Placed {
 public:
  static constexpr int kOut = F::kOut, kIn = F::kIn, kPositions = kIn * kIn;
  Conv2dParams p;
  ConvShape s;
  const float *x, *residual;
  float *y, *pooled;          // either may be null; a pooled picture is one block, so that its sum has one order
  const float* weights;       // per panel of columns: [position][channel][panel]
  const float *bias, *zeros;  // padded to whole panels; zeros for a channel row or a panel
  Activation act;
  uint32_t tiles_x, tiles;        // of a picture
  uint32_t block, blocks;         // tiles that are transformed and multiplied together, and how many such a picture has
  uint32_t chunk_panels, chunks;  // panels of columns of one unit, units a block
  uint32_t row;                   // floats of one tile at one position: the channels, padded to whole vectors
  float* shared;  // where several units use the same block: V of all blocks, written in a phase of its own

  uint32_t Phases() const override { return shared ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override {
    return shared && phase == 0 ? s.batch * tiles : s.batch * blocks * chunks;
  }
  size_t ScratchBytes() const override {
    return ((shared ? 0 : BlockFloats()) + static_cast<size_t>(kPositions) * block * kPanel) * sizeof(float);
  }
  size_t BlockFloats() const { return static_cast<size_t>(kPositions) * block * row; }
  const char* Kernel() const override {
    return kOut == 2 ? GAPCAM_KERNEL("f32_conv_winograd2") : GAPCAM_KERNEL("f32_conv_winograd4");
  }
  uint64_t Flops() const override { return 18ull * s.batch * s.out_height * s.out_width * s.features * s.channels; }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      if (shared && phase == 0) {
        const uint32_t image = unit / tiles, tile = unit % tiles;
        TransformInput(
            image, tile,
            shared + (static_cast<size_t>(image) * blocks + tile / block) * BlockFloats() + tile % block * row);
      } else {
        RunBlock(unit / chunks / blocks, unit / chunks % blocks, unit % chunks, static_cast<float*>(scratch));
      }
    }
  }

 private:
  void RunBlock(uint32_t image, uint32_t index, uint32_t chunk, float* scratch) const {
    const uint32_t first = index * block, count = Least(block, tiles - first);
    const float* v = shared ? shared + (static_cast<size_t>(image) * blocks + index) * BlockFloats() : scratch;
    float* products = shared ? scratch : scratch + BlockFloats();
    if (!shared) {
      for (uint32_t t = 0; t < count; ++t) TransformInput(image, first + t, scratch + t * row);
    }
    const uint32_t n_end = Least((chunk + 1) * chunk_panels * kPanel, s.features);
    for (uint32_t n = chunk * chunk_panels * kPanel; n < n_end; n += kPanel) {
      const uint32_t width = PanelWidth(s.features, n);
      MultiplyPanel(v, count, weights + static_cast<size_t>(n) * kPositions * s.channels, width, products);
      for (uint32_t lane = 0; lane < width && n + lane < s.features; lane += kLanes) {
        V sum = Zero();
        for (uint32_t t = 0; t < count; ++t)
          sum += TransformOutput(image, first + t, products + t * kPanel + lane, n + lane);
        const int lanes = static_cast<int>(Least(kLanes, s.features - n - lane));
        const float area = static_cast<float>(s.out_height * s.out_width);
        if (pooled) StoreN(pooled + static_cast<size_t>(image) * s.features + n + lane, sum / Set(area), lanes);
      }
    }
  }

  // Writes one tile's row of every position; positions are block * row floats apart.
  void TransformInput(uint32_t image, uint32_t tile, float* v) const {
    const int64_t top = static_cast<int64_t>(tile / tiles_x) * kOut - p.pad_top,
                  left = static_cast<int64_t>(tile % tiles_x) * kOut - p.pad_left;
    const float* from[kPositions];
    for (int i = 0; i < kIn; ++i) {
      for (int j = 0; j < kIn; ++j) {
        const bool is_inside = top + i >= 0 && top + i < s.height && left + j >= 0 && left + j < s.width;
        from[i * kIn + j] =
            is_inside ? x + ((static_cast<size_t>(image) * s.height + (top + i)) * s.width + (left + j)) * s.channels
                      : zeros;
      }
    }
    const size_t step = static_cast<size_t>(block) * row;
    for (uint32_t c = 0; c < s.channels; c += kLanes) {
      const int count = static_cast<int>(Least(kLanes, s.channels - c));
      V half[kIn][kIn];
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        V d[kIn], t[kIn];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i)
          d[i] = count == kLanes ? Load(from[i * kIn + j] + c) : LoadN(from[i * kIn + j] + c, count);
        F::Input(d, t);
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) half[i][j] = t[i];
      }
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) {
        V t[kIn];
        F::Input(half[i], t);
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) Store(v + (i * kIn + j) * step + c, t[j]);
      }
    }
  }

  // products [position][tile][kPanel] of `width` columns.
  void MultiplyPanel(const float* v, uint32_t count, const float* w, uint32_t width, float* products) const {
    const Activation none = MakeActivation(Elementwise::kNone, 0, 0);
    const EvenTiles even(count);
    const TileFunction* function = StreamingTilesFor(width, even.tiles);
    const size_t floats = static_cast<size_t>(s.channels) * width, share = floats / even.tiles / 16 * 16;
    for (int position = 0; position < kPositions; ++position, w += floats) {
      const float* from = v + static_cast<size_t>(position) * block * row;
      for (uint32_t part = 0, first = 0; part < even.tiles; first += even[part++]) {
        const GemmOut out = {products + (static_cast<size_t>(position) * block + first) * kPanel, nullptr, nullptr,
                             kPanel};
        function[even[part] - 1]({&from, 1, s.channels, s.channels, row}, first, w, zeros, out, 0, width, none,
                                 w + floats + part * share);
      }
    }
  }

  // One vector of output channels of one tile, from feature n on; positions are block * kPanel floats apart. Gives the sum
  // over the tile's pixels.
  V TransformOutput(uint32_t image, uint32_t tile, const float* products, uint32_t n) const {
    const size_t step = static_cast<size_t>(block) * kPanel;
    V half[kOut][kIn];
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j) {
      V m[kIn], t[kOut];
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) m[i] = Load(products + (i * kIn + j) * step);
      F::Output(m, t);
#pragma GCC unroll 6
      for (int i = 0; i < kOut; ++i) half[i][j] = t[i];
    }
    const uint32_t oy = tile / tiles_x * kOut, ox = tile % tiles_x * kOut;
    const int count = static_cast<int>(Least(kLanes, s.features - n));
    const V shift = Load(bias + n);
    V sum = Zero();
#pragma GCC unroll 6
    for (int i = 0; i < kOut; ++i) {
      if (oy + i >= s.out_height) break;
      V t[kOut];
      F::Output(half[i], t);
      const size_t at = ((static_cast<size_t>(image) * s.out_height + oy + i) * s.out_width + ox) * s.features + n;
#pragma GCC unroll 6
      for (int j = 0; j < kOut; ++j) {
        if (ox + j >= s.out_width) break;
        V value = t[j] + shift;
        if (residual) value += LoadN(residual + at + static_cast<size_t>(j) * s.features, count);
        value = Activate(act, value);
        sum += value;
        if (!y) continue;
        float* to = y + at + static_cast<size_t>(j) * s.features;
        if (count == kLanes)
          Store(to, value);
        else
          StoreN(to, value, count);
      }
    }
    return sum;
  }
};

// U = G g Gᵀ in double precision, packed as the product reads it.
template <class F>
static void PackWinogradWeights(const float* w, const ConvShape& s, float* packed) {
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
            packed[(static_cast<size_t>(a * kIn + b) * s.channels + c) * width + j] = static_cast<float>(u[a]);
        }
      }
    }
    packed += static_cast<size_t>(kIn * kIn) * s.channels * width;
  }
}

// How many tiles go together: as many as keep V in the second-level cache, but enough to use each weight that is read
// several times. Columns are divided among units where a picture has too few blocks for the threads.
template <class F>
static void ChooseWinogradUnits(ConvWinograd<F>* op, size_t cache_bytes) {
  constexpr uint32_t kWantedUnits = 8;
  const uint32_t fitting =
      static_cast<uint32_t>(cache_bytes / 2 / sizeof(float)) / (ConvWinograd<F>::kPositions * op->row);
  const uint32_t wanted = op->pooled ? op->tiles : Most(fitting / kTileRows, 2) * kTileRows;
  op->blocks = CeilDiv(op->tiles, wanted);
  op->block = CeilDiv(op->tiles, op->blocks);
  const uint32_t panels = CeilDiv(op->s.features, kPanel), units = op->s.batch * op->blocks;
  op->chunk_panels = CeilDiv(panels, Least(panels, CeilDiv(kWantedUnits, units)));
  op->chunks = CeilDiv(panels, op->chunk_panels);
}

template <class F>
static const Op* MakeConvWinograd(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ConvWinograd<F>));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ConvWinograd<F>();
  op->p = *static_cast<const Conv2dParams*>(step.params);
  op->s = ShapeOf(step);
  op->x = DataOf(step.inputs[0]);
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(OutputAt(step, 0));
  op->pooled = DataOf(OutputAt(step, 1));
  op->act = MakeActivation(op->p.activation, op->p.a, op->p.b);
  op->row = CeilDiv(op->s.channels, kLanes) * kLanes;
  op->tiles_x = CeilDiv(op->s.out_width, F::kOut);
  op->tiles = op->tiles_x * CeilDiv(op->s.out_height, F::kOut);
  ChooseWinogradUnits(op, step.cache_bytes);
  const uint32_t columns = CeilDiv(op->s.features, kLanes) * kLanes;
  auto* weights = static_cast<float*>(
      memory.Allocate(static_cast<size_t>(F::kIn * F::kIn) * op->s.channels * columns * sizeof(float)));
  auto* bias = static_cast<float*>(memory.Allocate((columns + kPanel) * sizeof(float)));
  op->zeros = static_cast<const float*>(memory.Allocate((op->row + kPanel) * sizeof(float)));
  if (op->chunks > 1)
    op->shared = static_cast<float*>(memory.Allocate(op->s.batch * op->blocks * op->BlockFloats() * sizeof(float)));
  if (!weights || !bias || !op->zeros || (op->chunks > 1 && !op->shared)) return GAPCAM_NO_MEMORY;
  PackWinogradWeights<F>(DataOf(step.inputs[1]), op->s, weights);
  if (const float* from = DataOf(InputAt(step, 2))) std::memcpy(bias, from, op->s.features * sizeof(float));
  op->weights = weights;
  op->bias = bias;
  return op;
}

// Which algorithm computes a convolution.
enum class ConvAlgorithm { kGemm, kWinograd2, kWinograd4 };

// The cost of a filtering in vector multiply-adds: the products, bounded from below by the weights' way from memory
// (a vector of weights takes as long as kStream multiply-adds), and the transforms.
template <class F>
static double WinogradCost(const ConvShape& s) {
  constexpr uint32_t kStream = kLanes == 4 ? 6 : 8;
  constexpr double kTransform = 8;  // per vector and position: loads, stores and additions
  const uint32_t tiles = CeilDiv(s.out_height, F::kOut) * CeilDiv(s.out_width, F::kOut);
  const double inputs = CeilDiv(s.channels, kLanes), outputs = CeilDiv(s.features, kLanes), positions = F::kIn * F::kIn;
  return positions * (s.channels * outputs * Most(tiles, kStream) + kTransform * tiles * (inputs + outputs));
}

static ConvAlgorithm ChooseConv(const StepRef& step) {
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const ConvShape s = ShapeOf(step);
  const bool fits = p.kernel_h == 3 && p.kernel_w == 3 && p.stride_h == 1 && p.stride_w == 1 && p.dilation_h == 1 &&
                    p.dilation_w == 1 && p.groups == 1;
  // The tiles of a pooled picture are one block, whose transformed input must stay small.
  constexpr uint32_t kMostPooled = 1024;
  if (!fits || (OutputAt(step, 1) && s.out_height * s.out_width > kMostPooled)) return ConvAlgorithm::kGemm;
  const double direct = 9.0 * s.channels * CeilDiv(s.features, kLanes) * s.out_height * s.out_width;
  const double two = WinogradCost<Winograd2>(s), four = WinogradCost<Winograd4>(s);
  if (direct <= two && direct <= four) return ConvAlgorithm::kGemm;
  return two < four ? ConvAlgorithm::kWinograd2 : ConvAlgorithm::kWinograd4;
}

}  // namespace
}  // namespace gapcam
