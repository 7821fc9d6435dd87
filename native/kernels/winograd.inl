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
  E* y;                   // y or pooled may be null
  float* pooled;          // a pooled picture is one block, so its sum has one order
  const E* weights;       // see winograd_transform.inl
  const E *bias, *zeros;  // bias padded to whole panels; zeros: a row of channels, and the bias of a panel
  Activation act;
  uint32_t tiles_x, tiles;        // of a picture
  uint32_t block, blocks;         // tiles that are transformed and multiplied together, and such blocks of a picture
  uint32_t chunk_panels, chunks;  // panels of output channels of one unit, and such units of a block
  uint32_t row;                   // floats of one tile at one position: the input channels, padded to whole vectors
  bool is_packed;                 // tiles that are multiplied together lie beside one another: GemmRows::is_packed
  bool is_kept;                   // the weights of a panel stay in the second-level cache
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
        TransformInput(image, tile, shared + (static_cast<size_t>(image) * blocks + tile / block) * BlockFloats());
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
      for (uint32_t t = 0; t < count; ++t) TransformInput(image, first + t, scratch);
    }
    const uint32_t n_end = Least((chunk + 1) * chunk_panels * kPanel, s.features);
    for (uint32_t n = chunk * chunk_panels * kPanel; n < n_end; n += kPanel) {
      const uint32_t width = PanelWidth(s.features, n);
      MultiplyPositions(v, count, weights + static_cast<size_t>(n) * kPositions * s.channels, width, products);
      const uint32_t end = Least(n + width, s.features);
      Wide sums[kPanel / kLanes];
      for (Wide& sum : sums) sum = WideZero();
      for (uint32_t t = 0; t < count; ++t) TransformOutput(image, first + t, products + t * kPanel, n, end, sums);
      if (!pooled) continue;
      const float area = static_cast<float>(s.out_height * s.out_width);
      float* to = pooled + static_cast<size_t>(image) * s.features;
      for (uint32_t at = n; at < end; at += kLanes)
        WideStoreQuotient(to + at, sums[(at - n) / kLanes], area, static_cast<int>(Least(kLanes, end - at)));
    }
  }

  // Writes V of one tile to its block: one row per position, positions block * row floats apart.
  void TransformInput(uint32_t image, uint32_t tile, E* v) const {
    const uint32_t index = tile % block;
    size_t beside = 1, begin = static_cast<size_t>(index) * row;
    if (is_packed) {
      const EvenTiles even(Least(block, tiles - (tile - index)));
      const uint32_t together = even.TileOf(index), first = even.FirstOf(together);
      beside = even[together], begin = static_cast<size_t>(first) * row + (index - first) * kLanes;
    }
    const int64_t top = static_cast<int64_t>(tile / tiles_x) * kOut - p.pad_top,
                  left = static_cast<int64_t>(tile % tiles_x) * kOut - p.pad_left;
    const E* from[kIn][kIn];  // by column and row, so that the pixels of a column are found in pairs
    for (int i = 0; i < kIn; ++i) {
      const bool is_row = top + i >= 0 && top + i < s.height;
      const E* line = x + ((static_cast<size_t>(image) * s.height + (top + i)) * s.width + left) * s.channels;
      for (int j = 0; j < kIn; ++j, line += s.channels)
        from[j][i] = is_row && left + j >= 0 && left + j < s.width ? line : zeros;
    }
    const size_t step = static_cast<size_t>(block) * row;
    E* to = v + begin;
    uint32_t c = 0;
    for (; c + kLanes <= s.channels; c += kLanes, to += kLanes * beside)
      InputTile([&](int i, int j) __attribute__((always_inline)) { return Load(from[j][i] + c); }, to, step);
    if (c == s.channels) return;
    const int rest = static_cast<int>(s.channels - c);
    InputTile([&](int i, int j) __attribute__((always_inline)) { return LoadN(from[j][i] + c, rest); }, to, step);
  }

  // Transforms one vector of channels of a tile, whose pixels are pixel(row, column). Positions of `to` are `step` floats
  // apart.
  template <class Pixel>
  GAPCAM_MEMBER void InputTile(const Pixel& pixel, E* to, size_t step) const {
    // Kept in memory: no processor has a register for each position.
    E half[kIn][kIn][kLanes];  // by column and row, so that a column is stored in pairs
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j) {
      V d[kIn], t[kIn];
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) d[i] = pixel(i, j);
      F::Input(d, t);
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) Store(half[j][i], t[i]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < kIn; ++i, to = Pinned(to + kIn * step)) {
      V d[kIn], t[kIn];
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) d[j] = Load(half[j][i]);
      F::Input(d, t);
#pragma GCC unroll 6
      for (int j = 0; j < kIn; ++j) Store(to + j * step, t[j]);
    }
  }

  // Multiplies V of `count` tiles by one panel of `width` columns. products: [position][tile][kPanel].
  void MultiplyPositions(const E* v, uint32_t count, const E* w, uint32_t width, E* products) const {
    const size_t from_step = static_cast<size_t>(block) * row, y_step = static_cast<size_t>(block) * kPanel;
    MultiplySeries({&v, 1, s.channels, s.channels, row, 0, is_packed}, EvenTiles(count),
                   {kPositions, w, zeros, width, products, from_step, y_step, is_kept});
  }

  // Where the results of a tile go that lies in the picture with its first `rows` rows and `columns` columns. Pixels and
  // lines are so many floats apart.
  struct TileOut {
    E* y;
    const E* residual;
    size_t pixel, line;
    uint32_t rows, columns;

    // Goes on to the next vector of features.
    GAPCAM_MEMBER void Advance() {
      if (y) y += kLanes;
      if (residual) residual += kLanes;
    }
  };

  // Writes the features [n, end) of one tile, the columns of a panel. A pooled picture adds the sums over the tile's
  // pixels to `sums`, one for each vector of features.
  void TransformOutput(uint32_t image, uint32_t tile, const E* products, uint32_t n, uint32_t end, Wide* sums) const {
    const uint32_t oy = tile / tiles_x * kOut, ox = tile % tiles_x * kOut;
    const size_t at = ((static_cast<size_t>(image) * s.out_height + oy) * s.out_width + ox) * s.features + n;
    TileOut out = {y ? y + at : nullptr,
                   residual ? residual + at : nullptr,
                   s.features,
                   static_cast<size_t>(s.out_width) * s.features,
                   Least(kOut, s.out_height - oy),
                   Least(kOut, s.out_width - ox)};
    const uint32_t whole = y && !pooled ? n + (end - n) / kLanes * kLanes : n;
    const bool is_inside = out.rows == kOut && out.columns == kOut;
    for (; n < whole; n += kLanes, products += kLanes, out.Advance()) {
      V t[kOut][kOut];
      OutputTile(products, Load(bias + n), t);
      is_inside ? StoreTile(t, out, Flag<true>()) : StoreTile(t, out, Flag<false>());
    }
    for (; n < end; n += kLanes, products += kLanes, out.Advance(), ++sums)
      *sums = WideAdd(*sums, TransformPart(products, Load(bias + n), out, static_cast<int>(Least(kLanes, end - n))));
  }

  // Computes the results of one tile for one vector of features. Positions of `products` are block * kPanel floats apart.
  GAPCAM_MEMBER void OutputTile(const E* products, V shift, V (&t)[kOut][kOut]) const {
    const size_t step = static_cast<size_t>(block) * kPanel;
    V half[kOut][kIn];
#pragma GCC unroll 6
    for (int j = 0; j < kIn; ++j, products = Pinned(products + step)) {
      V m[kIn], column[kOut];
#pragma GCC unroll 6
      for (int i = 0; i < kIn; ++i) m[i] = Load(products + i * (kIn * step));
      F::Output(m, column);
#pragma GCC unroll 6
      for (int i = 0; i < kOut; ++i) half[i][j] = column[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kOut; ++i) {
      F::Output(half[i], t[i]);
#pragma GCC unroll 6
      for (int j = 0; j < kOut; ++j) t[i][j] += shift;
    }
  }

  // Ends a tile of whole vectors, which lies in the picture as a whole if `is_inside`: adds the residual, applies the
  // activation and stores.
  template <class IsInside>
  GAPCAM_MEMBER void StoreTile(V (&t)[kOut][kOut], const TileOut& out, IsInside) const {
    // NEON has registers for a whole tile, so its end is chosen once. Others end row by row.
    constexpr int kRows = kIsNeon ? kOut : 1;
#pragma GCC unroll 6
    for (int first = 0; first < kOut; first += kRows) {
      const auto for_each = [&](auto* at, auto function) __attribute__((always_inline)) {
        at = Pinned(at + first * out.line);
#pragma GCC unroll 6
        for (int i = first; i < first + kRows; ++i, at = Pinned(at + out.line)) {
          if (!IsInside::kValue && i >= static_cast<int>(out.rows)) break;
#pragma GCC unroll 6
          for (int j = 0; j < kOut; ++j) {
            if (!IsInside::kValue && j >= static_cast<int>(out.columns)) break;
            function(at + j * out.pixel, t[i][j]);
          }
        }
      };
      if (out.residual)
        for_each(out.residual, [](const E* at, V& value) __attribute__((always_inline)) { value += Load(at); });
#pragma GCC unroll 6
      for (int i = first; i < first + kRows; ++i) ActivateAll(act, t[i]);
      for_each(out.y, [](E* at, V value) __attribute__((always_inline)) { Store(at, value); });
    }
  }

  // Computes and ends the part of a tile that lies in the picture, `count` features of each result. Returns their sum.
  __attribute__((noinline)) Wide TransformPart(const E* products, V shift, const TileOut& out, int count) const {
    V t[kOut][kOut];
    OutputTile(products, shift, t);
    Wide sum = WideZero();
    for (uint32_t i = 0; i < out.rows; ++i) {
      for (uint32_t j = 0; j < out.columns; ++j) {
        const size_t at = i * out.line + j * out.pixel;
        V value = t[i][j];
        if (out.residual) value += LoadN(out.residual + at, count);
        value = Activate(act, value);
        sum = WideAdd(sum, value);
        if (out.y) StoreN(out.y + at, value, count);
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
  // On NEON a few more tiles are one block: they are multiplied in larger tiles, and the weights are read once.
  op->blocks = kIsNeon ? Most(1, (op->tiles + wanted / 2) / wanted) : CeilDiv(op->tiles, wanted);
  op->block = CeilDiv(op->tiles, op->blocks);
  const size_t panel_bytes = sizeof(E) * ConvWinograd<F>::kPositions * op->s.channels * kPanel;
  op->is_kept = panel_bytes <= cache_bytes / 2;
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
  op->is_packed = kIsNeon && op->s.channels % kLanes == 0;
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
