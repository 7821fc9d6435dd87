// 3×3 convolution with stride 1 by Winograd's minimal filtering F(m×m, 3×3): a tile of m×m outputs costs (m+2)²
// products instead of 9m² (a quarter for m = 4), plus additions before and after.
//
//   input tile d ─ Bᵀ d B ─▶ V        for each position of the (m+2)² tile: V [tiles, C] × U [C, N] = M [tiles, N]
//   kernel g ── G g Gᵀ (at open) ─▶ U                                        M ─ Aᵀ M A ─▶ m×m outputs + bias …
//
// After S. Winograd (1980) and A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2015).
namespace gapcam {
namespace {

// conv2d by filtering. F is Winograd2 or Winograd4. A unit is a block of tiles times a chunk of output channels.
template <class F>
class ConvWinograd final : public Op, public Placed {
 public:
  static constexpr int kOut = F::kOut, kIn = F::kIn, kPositions = kIn * kIn;
  Conv2dParams p;
  ConvShape s;
  const E *x, *residual;
  E* y;
  float* pooled;
  //          // either may be null; a pooled picture is one block, so its sum has one order
  const E* weights;       // see winograd_transform.inl
  const E *bias, *zeros;  // bias padded to whole panels; zeros: a row of channels, and the bias of a panel
  Activation act;
  uint32_t tiles_x, tiles;        // of a picture
  uint32_t block, blocks;         // tiles that are transformed and multiplied together, and such blocks of a picture
  uint32_t chunk_panels, chunks;  // panels of output channels of one unit, and such units of a block
  uint32_t row;                   // floats of one tile at one position: the input channels, padded to whole vectors
  E* shared;  // V of all blocks, written in the first of two phases; null if each block has only one unit

  uint32_t Phases() const override { return shared ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override {
    return shared && phase == 0 ? s.batch * tiles : s.batch * blocks * chunks;
  }
  size_t ScratchBytes() const override {
    return ((shared ? 0 : BlockFloats()) + static_cast<size_t>(kPositions) * block * kPanel) * sizeof(E);
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
        RunBlock(unit / chunks / blocks, unit / chunks % blocks, unit % chunks, static_cast<E*>(scratch));
      }
    }
  }

 private:
  void RunBlock(uint32_t image, uint32_t index, uint32_t chunk, E* scratch) const {
    const uint32_t first = index * block, count = Least(block, tiles - first);
    const E* v = shared ? shared + (static_cast<size_t>(image) * blocks + index) * BlockFloats() : scratch;
    E* products = shared ? scratch : scratch + BlockFloats();
    if (!shared) {
      for (uint32_t t = 0; t < count; ++t) TransformInput(image, first + t, scratch + t * row);
    }
    const uint32_t n_end = Least((chunk + 1) * chunk_panels * kPanel, s.features);
    for (uint32_t n = chunk * chunk_panels * kPanel; n < n_end; n += kPanel) {
      const uint32_t width = PanelWidth(s.features, n);
      MultiplyPositions(v, count, weights + static_cast<size_t>(n) * kPositions * s.channels, width, products);
      for (uint32_t lane = 0; lane < width && n + lane < s.features; lane += kLanes) {
        Wide sum = WideZero();
        for (uint32_t t = 0; t < count; ++t)
          sum = WideAdd(sum, TransformOutput(image, first + t, products + t * kPanel + lane, n + lane));
        const int lanes = static_cast<int>(Least(kLanes, s.features - n - lane));
        const float area = static_cast<float>(s.out_height * s.out_width);
        if (pooled) WideStoreQuotient(pooled + static_cast<size_t>(image) * s.features + n + lane, sum, area, lanes);
      }
    }
  }

  // Writes V of one tile: one row per position, positions block * row floats apart.
  void TransformInput(uint32_t image, uint32_t tile, E* v) const {
    const int64_t top = static_cast<int64_t>(tile / tiles_x) * kOut - p.pad_top,
                  left = static_cast<int64_t>(tile % tiles_x) * kOut - p.pad_left;
    const E* from[kPositions];
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
      // Kept in memory: no processor has a register for each position.
      E half[kIn][kIn][kLanes];
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) {
        V d[kIn], t[kIn];
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i)
          d[i] = count == kLanes ? Load(from[i * kIn + j] + c) : LoadN(from[i * kIn + j] + c, count);
        F::Input(d, t);
#pragma GCC unroll 6
        for (int i = 0; i < kIn; ++i) Store(half[i][j], t[i]);
      }
      E* to = v + c;
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) {
        V d[kIn], t[kIn];
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j) d[j] = Load(half[i][j]);
        F::Input(d, t);
#pragma GCC unroll 6
        for (int j = 0; j < kIn; ++j, to = Pinned(to + step)) Store(to, t[j]);
      }
    }
  }

  // Multiplies V of `count` tiles by one panel of `width` columns. products: [position][tile][kPanel].
  void MultiplyPositions(const E* v, uint32_t count, const E* w, uint32_t width, E* products) const {
    const Activation none = MakeActivation(Elementwise::kNone, 0, 0);
    const EvenTiles even(count);
    const size_t floats = static_cast<size_t>(s.channels) * width, share = floats / even.tiles / 16 * 16;
    for (int position = 0; position < kPositions; ++position, w += floats) {
      const E* from = v + static_cast<size_t>(position) * block * row;
      const GemmOut out = {products + static_cast<size_t>(position) * block * kPanel, nullptr, nullptr, kPanel};
      MultiplyPanel({&from, 1, s.channels, s.channels, row}, even, {w, zeros, 0, width, width, true}, out, none,
                    w + floats, share);
    }
  }

  // Writes one vector of output channels of one tile, from feature n on. Positions of `products` are block * kPanel
  // floats apart. Returns the sum over the tile's pixels.
  Wide TransformOutput(uint32_t image, uint32_t tile, const E* products, uint32_t n) const {
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
    const V shift = Load(bias + n);
    V t[kOut][kOut];
#pragma GCC unroll 6
    for (int i = 0; i < kOut; ++i) {
      F::Output(half[i], t[i]);
#pragma GCC unroll 6
      for (int j = 0; j < kOut; ++j) t[i][j] += shift;
    }
    const uint32_t oy = tile / tiles_x * kOut, ox = tile % tiles_x * kOut;
    const size_t at = ((static_cast<size_t>(image) * s.out_height + oy) * s.out_width + ox) * s.features + n;
    const bool is_whole = oy + kOut <= s.out_height && ox + kOut <= s.out_width && n + kLanes <= s.features;
    if (__builtin_expect(is_whole && y && !pooled, true)) return StoreTile(t, at), WideZero();
    return StorePart(t, at, Least(kOut, s.out_height - oy), Least(kOut, s.out_width - ox), s.features - n);
  }

  // Ends a tile that lies in the picture as a whole: adds the residual, applies the activation and stores.
  void StoreTile(V (&t)[kOut][kOut], size_t at) const {
    const size_t line = static_cast<size_t>(s.out_width) * s.features;
#pragma GCC unroll 6
    for (int i = 0; i < kOut; ++i) {
      if (residual) {
        const E* from = Pinned(residual + at + i * line);
#pragma GCC unroll 6
        for (int j = 0; j < kOut; ++j, from = Pinned(from + s.features)) t[i][j] += Load(from);
      }
      ActivateAll(act, t[i]);
      E* to = Pinned(y + at + i * line);
#pragma GCC unroll 6
      for (int j = 0; j < kOut; ++j, to = Pinned(to + s.features)) Store(to, t[i][j]);
    }
  }

  // Ends the first `rows` rows and `columns` columns of a tile, `features` of each result. Returns their sum.
  Wide StorePart(const V (&t)[kOut][kOut], size_t at, uint32_t rows, uint32_t columns, uint32_t features) const {
    const int count = static_cast<int>(Least(kLanes, features));
    Wide sum = WideZero();
    for (uint32_t i = 0; i < rows; ++i) {
      for (uint32_t j = 0; j < columns; ++j) {
        const size_t here = at + (static_cast<size_t>(i) * s.out_width + j) * s.features;
        V value = t[i][j];
        if (residual) value += LoadN(residual + here, count);
        value = Activate(act, value);
        sum = WideAdd(sum, value);
        if (y) StoreN(y + here, value, count);
      }
    }
    return sum;
  }
};

// Chooses the size of a block: V of its tiles stays in the second-level cache, but a weight that is read is used
// several times. Where a picture has too few blocks to keep the threads busy, its columns are divided among units too.
template <class F>
static void ChooseWinogradUnits(ConvWinograd<F>* op, size_t cache_bytes) {
  constexpr uint32_t kWantedUnits = 8;
  const uint32_t fitting = static_cast<uint32_t>(cache_bytes / 2 / sizeof(E)) / (ConvWinograd<F>::kPositions * op->row);
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
  op->pooled = FloatsOf(OutputAt(step, 1));
  op->act = MakeActivation(op->p.activation, op->p.a, op->p.b);
  op->row = CeilDiv(op->s.channels, kLanes) * kLanes;
  op->tiles_x = CeilDiv(op->s.out_width, F::kOut);
  op->tiles = op->tiles_x * CeilDiv(op->s.out_height, F::kOut);
  ChooseWinogradUnits(op, step.cache_bytes);
  const uint32_t columns = CeilDiv(op->s.features, kLanes) * kLanes;
  auto* weights =
      static_cast<E*>(memory.Allocate(static_cast<size_t>(F::kIn * F::kIn) * op->s.channels * columns * sizeof(E)));
  auto* bias = static_cast<E*>(memory.Allocate((columns + kPanel) * sizeof(E)));
  op->zeros = static_cast<const E*>(memory.Allocate((op->row + kPanel) * sizeof(E)));
  if (op->chunks > 1)
    op->shared = static_cast<E*>(memory.Allocate(op->s.batch * op->blocks * op->BlockFloats() * sizeof(E)));
  if (!weights || !bias || !op->zeros || (op->chunks > 1 && !op->shared)) return GAPCAM_NO_MEMORY;
  PackWinogradWeights<F>(FloatsOf(step.inputs[1]), op->s, weights);
  if (const float* from = FloatsOf(InputAt(step, 2))) Convert(from, op->s.features, bias);
  op->weights = weights;
  op->bias = bias;
  return op;
}

// The cost of filtering in vector multiply-adds: the products and the transforms. Few tiles are bound by reading the
// weights: a vector of weights takes as long to read as kStream multiply-adds.
template <class F>
static double WinogradCost(const ConvShape& s) {
  constexpr uint32_t kStream = kIsNeon || kLanes == 4 ? 6 : kLanes == 8 ? 8 : 12;
  constexpr double kTransform = 8;  // per vector and position: loads, stores and additions
  const uint32_t tiles = CeilDiv(s.out_height, F::kOut) * CeilDiv(s.out_width, F::kOut);
  const double inputs = CeilDiv(s.channels, kLanes), outputs = CeilDiv(s.features, kLanes), positions = F::kIn * F::kIn;
  return positions * (s.channels * outputs * Most(tiles, kStream) + kTransform * tiles * (inputs + outputs));
}

}  // namespace
}  // namespace gapcam
