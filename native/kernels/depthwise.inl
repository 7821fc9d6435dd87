// Depthwise convolution in NHWC: a vector holds neighbouring channels of one pixel. A tile is kAcross output pixels of
// a row; their input columns are loaded once a kernel row and used by every output that they touch.
//
//   weights, packed: [channel block of kLanes][kernel row][kernel column][kLanes]
namespace gapcam {
namespace {

#if defined(GAPCAM_TARGET_AVX2)
constexpr int kAcross = 4;  // 16 registers: 4 sums, the columns, a weight
#else
constexpr int kAcross = 8;
#endif

class Depthwise final : public Op, public Placed {
 public:
  Conv2dParams p;
  ConvShape s;
  const float* x;
  const float* residual;
  float* y;
  float* pooled;
  const float* zeros;    // a pixel of all channels
  const float* weights;
  const float* bias;     // padded to whole vectors
  Activation act;
  uint32_t tile_across;  // output pixels of the tile function
  void (*tile)(const Depthwise&, const float* const*, uint32_t, float*, const float*);

  uint32_t Phases() const override { return pooled ? 2 : 1; }
  uint32_t Units(uint32_t phase) const override { return phase == 0 ? s.batch * s.out_height : s.batch * CeilDiv(s.channels, kLanes); }
  size_t ScratchBytes() const override { return ColumnBytes(); }
  // Pointers to the pixels under one tile.
  size_t ColumnBytes() const { return (static_cast<size_t>(p.kernel_h) * ((tile_across - 1) * p.stride_w + p.kernel_w * p.dilation_w) * sizeof(float*) + 63) / 64 * 64; }
  const char* Kernel() const override { return GAPCAM_KERNEL("f32_depthwise"); }
  uint64_t Flops() const override { return 2ull * s.batch * s.out_height * s.out_width * s.channels * p.kernel_h * p.kernel_w; }

  void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) {
      if (phase == 0) RunRow(unit, static_cast<const float**>(scratch));
      else RunMean(unit);
    }
  }

 private:
  void RunRow(uint32_t row, const float** columns) const {
    const uint32_t image = row / s.out_height, oy = row % s.out_height;
    float* out = y + static_cast<size_t>(row) * s.out_width * s.channels;
    const float* add = residual ? residual + static_cast<size_t>(row) * s.out_width * s.channels : nullptr;
    ComputeRow(x + static_cast<size_t>(image) * s.height * s.width * s.channels, s.height, oy, out, add, columns);
  }

 public:
  // One row of results. Input row iy lies at picture + iy % ring rows; `columns` has room for ColumnBytes().
  void ComputeRow(const float* picture, uint32_t ring, uint32_t oy, float* out, const float* add, const float** columns) const {
    for (uint32_t ox = 0; ox < s.out_width; ox += tile_across) {
      // The last tile moves back over pixels that are done: the same sums, and no loop for what is left over.
      const uint32_t from = s.out_width >= tile_across ? Least(ox, s.out_width - tile_across) : 0;
      const uint32_t count = FindColumns(picture, ring, oy, from, columns);
      tile(*this, columns, count, out + static_cast<size_t>(from) * s.channels, add ? add + static_cast<size_t>(from) * s.channels : nullptr);
    }
  }

 private:
  // The pixel under every kernel row and input column of a tile; a pixel of zeros outside the picture.
  uint32_t FindColumns(const float* picture, uint32_t ring, uint32_t oy, uint32_t from, const float** columns) const {
    const uint32_t count = (tile_across - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1;
    const int64_t ix0 = static_cast<int64_t>(from) * p.stride_w - p.pad_left;
    for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
      const int64_t iy = static_cast<int64_t>(oy) * p.stride_h - p.pad_top + static_cast<int64_t>(ky) * p.dilation_h;
      const bool is_row = iy >= 0 && iy < s.height;
      const float* row = is_row ? picture + static_cast<size_t>(iy % ring) * s.width * s.channels : nullptr;
      for (uint32_t j = 0; j < count; ++j) {
        const int64_t ix = ix0 + j;
        *columns++ = row && ix >= 0 && ix < s.width ? row + ix * s.channels : zeros;
      }
    }
    return count;
  }

  void RunMean(uint32_t unit) const {
    const uint32_t blocks = CeilDiv(s.channels, kLanes), image = unit / blocks, c = unit % blocks * kLanes;
    const int lanes = static_cast<int>(Least(kLanes, s.channels - c));
    const uint32_t area = s.out_height * s.out_width;
    const float* from = y + static_cast<size_t>(image) * area * s.channels + c;
    V sum = Zero();
    for (uint32_t i = 0; i < area; ++i) sum += LoadN(from + static_cast<size_t>(i) * s.channels, lanes);
    StoreN(pooled + static_cast<size_t>(image) * s.channels + c, sum / Set(static_cast<float>(area)), lanes);
  }
};

template <int kOut>
GAPCAM_INLINE void FinishDepthwise(const Depthwise& op, V (&acc)[kOut], float* out, const float* residual, uint32_t c, int lanes) {
  const uint32_t stride = op.s.channels;
#pragma GCC unroll 8
  for (int j = 0; j < kOut; ++j) {
    V value = acc[j];
    if (residual) value += LoadN(residual + j * stride + c, lanes);
    value = Activate(op.act, value);
    if (lanes == kLanes) Store(out + j * stride + c, value);
    else StoreN(out + j * stride + c, value, lanes);
  }
}

// kOut outputs of a kernel kSize × kSize with stride kStride, dilation 1.
template <int kSize, int kStride, int kOut>
static void DepthwiseTile(const Depthwise& op, const float* const* columns, uint32_t count, float* out, const float* residual) {
  const float* w = op.weights;
  for (uint32_t c = 0; c < op.s.channels; c += kLanes) {
    const int lanes = static_cast<int>(Least(kLanes, op.s.channels - c));
    V acc[kOut];
#pragma GCC unroll 8
    for (int j = 0; j < kOut; ++j) acc[j] = Load(op.bias + c);
    const float* const* row = columns;
    for (int ky = 0; ky < kSize; ++ky, row += count, w += kSize * kLanes) {
      V pixel[(kOut - 1) * kStride + kSize];
      if (__builtin_expect(lanes == kLanes, true)) {
#pragma GCC unroll 32
        for (int i = 0; i < (kOut - 1) * kStride + kSize; ++i) pixel[i] = Load(row[i] + c);
      } else {
        for (int i = 0; i < (kOut - 1) * kStride + kSize; ++i) pixel[i] = LoadN(row[i] + c, lanes);
      }
#pragma GCC unroll 8
      for (int kx = 0; kx < kSize; ++kx) {
        const V weight = Load(w + kx * kLanes);
#pragma GCC unroll 8
        for (int j = 0; j < kOut; ++j) acc[j] = pixel[j * kStride + kx] * weight + acc[j];
      }
    }
    FinishDepthwise<kOut>(op, acc, out, residual, c, lanes);
  }
}

// One output of any kernel.
static void DepthwisePixel(const Depthwise& op, const float* const* columns, uint32_t count, float* out, const float* residual) {
  const float* w = op.weights;
  for (uint32_t c = 0; c < op.s.channels; c += kLanes) {
    const int lanes = static_cast<int>(Least(kLanes, op.s.channels - c));
    V acc[1] = {Load(op.bias + c)};
    for (uint32_t ky = 0; ky < op.p.kernel_h; ++ky) {
      for (uint32_t kx = 0; kx < op.p.kernel_w; ++kx, w += kLanes) {
        acc[0] = LoadN(columns[ky * count + kx * op.p.dilation_w] + c, lanes) * Load(w) + acc[0];
      }
    }
    FinishDepthwise<1>(op, acc, out, residual, c, lanes);
  }
}

template <int kSize, int kStride>
static void ChooseTile(Depthwise* op) {
  if (op->s.out_width >= static_cast<uint32_t>(kAcross)) op->tile = DepthwiseTile<kSize, kStride, kAcross>, op->tile_across = kAcross;
  else if (op->s.out_width >= 4) op->tile = DepthwiseTile<kSize, kStride, 4>, op->tile_across = 4;
}

static void ChooseDepthwiseTile(Depthwise* op) {
  const Conv2dParams& p = op->p;
  op->tile = DepthwisePixel;
  op->tile_across = 1;
  if (p.kernel_h != p.kernel_w || p.dilation_w != 1) return;
  const uint32_t key = p.kernel_w * 10 + p.stride_w;
  if (key == 31) ChooseTile<3, 1>(op);
  else if (key == 32) ChooseTile<3, 2>(op);
  else if (key == 51) ChooseTile<5, 1>(op);
  else if (key == 52) ChooseTile<5, 2>(op);
  else if (key == 71) ChooseTile<7, 1>(op);
}

// Packs weights and bias and chooses the tile; op->p and op->s are set. False when memory is short.
static bool PrepareDepthwise(Depthwise* op, const TensorRef* from, const TensorRef* shift, Allocator& memory) {
  const uint32_t c = op->s.channels, kernel = op->p.kernel_h * op->p.kernel_w, padded = CeilDiv(c, kLanes) * kLanes;
  auto* weights = static_cast<float*>(memory.Allocate(static_cast<size_t>(padded) * kernel * sizeof(float)));
  auto* bias = static_cast<float*>(memory.Allocate(padded * sizeof(float)));
  op->zeros = static_cast<const float*>(memory.Allocate(padded * sizeof(float)));
  if (!weights || !bias || !op->zeros) return false;
  const float* w = DataOf(from);
  for (uint32_t i = 0; i < c; ++i) {
    for (uint32_t k = 0; k < kernel; ++k) weights[(static_cast<size_t>(i / kLanes) * kernel + k) * kLanes + i % kLanes] = w[i * kernel + k];
  }
  if (shift) std::memcpy(bias, DataOf(shift), c * sizeof(float));
  op->weights = weights;
  op->bias = bias;
  op->act = MakeActivation(op->p.activation, op->p.a, op->p.b);
  ChooseDepthwiseTile(op);
  return true;
}

static const Op* MakeDepthwise(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Depthwise));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Depthwise();
  op->p = *static_cast<const Conv2dParams*>(step.params);
  op->s = ShapeOf(step);
  op->x = DataOf(step.inputs[0]);
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(OutputAt(step, 0));
  op->pooled = DataOf(OutputAt(step, 1));
  const size_t map = static_cast<size_t>(op->s.batch) * op->s.out_height * op->s.out_width * op->s.channels;
  if (!op->y) op->y = static_cast<float*>(memory.Allocate(map * sizeof(float)));
  if (!op->y || !PrepareDepthwise(op, step.inputs[1], InputAt(step, 2), memory)) return GAPCAM_NO_MEMORY;
  return op;
}

GAPCAM_INLINE bool IsDepthwise(const StepRef& step) {
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const uint32_t channels = step.inputs[0]->dims[3];
  return p.groups == channels && step.inputs[1]->dims[0] == channels;
}

}  // namespace
}  // namespace gapcam
