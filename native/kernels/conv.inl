// Convolution as a product: each output pixel is a row whose runs lie in the input itself. Rows at the border, where
// a run would leave the picture, are copied with zeros into the worker's scratch.
namespace gapcam {
namespace {

struct ConvShape {
  uint32_t batch, height, width, channels;
  uint32_t out_height, out_width, features;
};

GAPCAM_INLINE ConvShape ShapeOf(const StepRef& step) {
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const TensorRef& x = *step.inputs[0];
  const TensorRef* y = step.output_count > 0 ? step.outputs[0] : nullptr;
  ConvShape s = {x.dims[0], x.dims[1], x.dims[2], x.dims[3], 0, 0, step.inputs[1]->dims[0]};
  s.out_height = y ? y->dims[1] : (s.height + p.pad_top + p.pad_bottom - p.dilation_h * (p.kernel_h - 1) - 1) / p.stride_h + 1;
  s.out_width = y ? y->dims[2] : (s.width + p.pad_left + p.pad_right - p.dilation_w * (p.kernel_w - 1) - 1) / p.stride_w + 1;
  return s;
}

GAPCAM_INLINE float* DataOf(const TensorRef* tensor) { return tensor ? static_cast<float*>(tensor->data) : nullptr; }

GAPCAM_INLINE const TensorRef* InputAt(const StepRef& step, uint32_t i) { return i < step.input_count ? step.inputs[i] : nullptr; }
GAPCAM_INLINE const TensorRef* OutputAt(const StepRef& step, uint32_t i) { return i < step.output_count ? step.outputs[i] : nullptr; }

class ConvGemm final : public Op, public Placed {
 public:
  Conv2dParams p;
  ConvShape s;
  const float* x;
  const float* residual;
  float* y;
  float* pooled;
  const float* zeros;            // one run
  const GemmWeights* weights;    // one for each group
  Activation act;
  bool is_merged;                // a run is a whole kernel row
  uint32_t taps, run;
  uint32_t chunk_rows, chunks;   // output pixels of one unit, units a picture
  uint32_t chunk_columns, column_chunks;

  uint32_t Units(uint32_t) const override { return s.batch * p.groups * chunks * column_chunks; }

  size_t ScratchBytes() const override {
    const size_t pointers = static_cast<size_t>(chunk_rows) * taps * sizeof(float*);
    const size_t border = is_merged && HasPadding() ? static_cast<size_t>(chunk_rows) * taps * run * sizeof(float) : 0;
    const size_t sums = pooled ? (s.features / p.groups + kPanel) * sizeof(float) : 0;
    return ((pointers + 63) / 64 + (border + 63) / 64 + (sums + 63) / 64) * 64;
  }

  const char* Kernel() const override { return GAPCAM_KERNEL("f32_conv_gemm"); }

  uint64_t Flops() const override {
    return 2ull * s.batch * s.out_height * s.out_width * s.features * (s.channels / p.groups) * p.kernel_h * p.kernel_w;
  }

  void Run(uint32_t, uint32_t first, uint32_t last, void* scratch) const override {
    for (uint32_t unit = first; unit < last; ++unit) RunUnit(unit, static_cast<char*>(scratch));
  }

 private:
  bool HasPadding() const { return p.pad_top || p.pad_left || p.pad_bottom || p.pad_right || p.kernel_w > 1; }

  void RunUnit(uint32_t unit, char* scratch) const {
    const uint32_t column_chunk = unit % column_chunks;
    unit /= column_chunks;
    const uint32_t chunk = unit % chunks;
    unit /= chunks;
    const uint32_t group = unit % p.groups, image = unit / p.groups;
    const uint32_t columns = s.features / p.groups, area = s.out_height * s.out_width;
    const uint32_t n_first = column_chunk * chunk_columns, n_last = Least(n_first + chunk_columns, columns);
    float* sums = pooled ? reinterpret_cast<float*>(scratch) : nullptr;
    if (sums) {
      const size_t bytes = (columns + kPanel) * sizeof(float);
      std::memset(sums, 0, bytes);
      scratch += (bytes + 63) / 64 * 64;
    }
    // A pooled picture is one unit, so that its sum has one order whatever the threads.
    const uint32_t m_first = pooled ? 0 : chunk * chunk_rows, m_end = pooled ? area : Least(m_first + chunk_rows, area);
    for (uint32_t m = m_first; m < m_end; m += chunk_rows) {
      RunRows(image, group, m, Least(chunk_rows, m_end - m), n_first, n_last, sums, scratch);
    }
    if (sums) {
      float* to = pooled + static_cast<size_t>(image) * s.features + group * columns;
      for (uint32_t n = n_first; n < n_last; ++n) to[n] = sums[n] / static_cast<float>(area);
    }
  }

  void RunRows(uint32_t image, uint32_t group, uint32_t m, uint32_t count, uint32_t n_first, uint32_t n_last, float* sums, char* scratch) const {
    const float** rows = reinterpret_cast<const float**>(scratch);
    float* border = reinterpret_cast<float*>(scratch + (static_cast<size_t>(chunk_rows) * taps * sizeof(float*) + 63) / 64 * 64);
    if (is_merged) FindMergedRows(image, m, count, rows, border);
    else FindRows(image, group, m, count, rows);
    const size_t at = (static_cast<size_t>(image) * s.out_height * s.out_width + m) * s.features + group * (s.features / p.groups);
    const GemmOut out = {y ? y + at : nullptr, residual ? residual + at : nullptr, sums, s.features};
    Multiply(weights[group], rows, count, taps, run, out, n_first, n_last, act);
  }

  // One run a kernel row: kernelW neighbouring pixels with all their channels.
  void FindMergedRows(uint32_t image, uint32_t m, uint32_t count, const float** rows, float* border) const {
    const uint32_t c = s.channels;
    int64_t oy = m / s.out_width, ox = m % s.out_width;
    const float* picture = x + static_cast<size_t>(image) * s.height * s.width * c;
    for (uint32_t r = 0; r < count; ++r) {
      const int64_t ix = ox * p.stride_w - p.pad_left;
      const bool is_inside = ix >= 0 && ix + p.kernel_w <= s.width;
      for (uint32_t t = 0; t < taps; ++t) {
        const int64_t iy = oy * p.stride_h - p.pad_top + static_cast<int64_t>(t) * p.dilation_h;
        const float** to = rows + t * count + r;
        if (iy < 0 || iy >= s.height) *to = zeros;
        else if (is_inside) *to = picture + (iy * s.width + ix) * c;
        else {
          *to = border;
          border = CopyBorder(picture + iy * s.width * c, ix, border);
        }
      }
      if (++ox == s.out_width) ox = 0, ++oy;
    }
  }

  // kernelW pixels from column ix of a row, zeros where it does not exist.
  float* CopyBorder(const float* row, int64_t ix, float* to) const {
    for (uint32_t k = 0; k < p.kernel_w; ++k, to += s.channels) {
      if (ix + k < 0 || ix + k >= s.width) std::memset(to, 0, s.channels * sizeof(float));
      else std::memcpy(to, row + (ix + k) * s.channels, s.channels * sizeof(float));
    }
    return to;
  }

  void FindRows(uint32_t image, uint32_t group, uint32_t m, uint32_t count, const float** rows) const {
    const float* picture = x + static_cast<size_t>(image) * s.height * s.width * s.channels + group * run;
    int64_t oy = m / s.out_width, ox = m % s.out_width;
    for (uint32_t r = 0; r < count; ++r) {
      for (uint32_t ky = 0; ky < p.kernel_h; ++ky) {
        const int64_t iy = oy * p.stride_h - p.pad_top + static_cast<int64_t>(ky) * p.dilation_h;
        for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
          const int64_t ix = ox * p.stride_w - p.pad_left + static_cast<int64_t>(kx) * p.dilation_w;
          const bool is_inside = iy >= 0 && iy < s.height && ix >= 0 && ix < s.width;
          rows[(ky * p.kernel_w + kx) * count + r] = is_inside ? picture + (iy * s.width + ix) * s.channels : zeros;
        }
      }
      if (++ox == s.out_width) ox = 0, ++oy;
    }
  }
};

// Weights [O][C][kh][kw] of one group as [K][N] in the order of the runs: kernel row, kernel column, channel.
static bool PackConvWeights(const StepRef& step, const ConvGemm& op, uint32_t group, Allocator& memory, GemmWeights* result) {
  const uint32_t columns = op.s.features / op.p.groups, c = op.s.channels / op.p.groups;
  const uint32_t kernel = op.p.kernel_h * op.p.kernel_w, depth = kernel * c;
  const float* w = DataOf(step.inputs[1]) + static_cast<size_t>(group) * columns * depth;
  const float* bias = DataOf(InputAt(step, 2));
  if (kernel == 1) return MakeGemmWeights(w, 1, depth, depth, columns, bias ? bias + group * columns : nullptr, memory, result);
  // Packed kernel position by kernel position: within one, channels are `kernel` floats apart.
  float* packed = static_cast<float*>(memory.Allocate(PackedFloats(depth, columns) * sizeof(float)));
  float* padded = static_cast<float*>(memory.Allocate((columns + kPanel) * sizeof(float)));
  if (!packed || !padded) return false;
  *result = {packed, padded, columns, depth};
  for (uint32_t n0 = 0; n0 < columns; n0 += kPanel) {
    const uint32_t width = Least(kPanel, CeilDiv(columns - n0, kLanes) * kLanes);
    for (uint32_t t = 0; t < kernel; ++t) {
      for (uint32_t i = 0; i < c; ++i) {
        for (uint32_t j = 0; j < width; ++j) *packed++ = n0 + j < columns ? w[static_cast<size_t>(n0 + j) * depth + i * kernel + t] : 0.0f;
      }
    }
  }
  if (bias) std::memcpy(padded, bias + group * columns, columns * sizeof(float));
  return true;
}

// How much of the picture and how many columns make one unit: rows that stay in the second-level cache beside a panel
// of weights, and about as many units as keep eight threads evenly busy.
static void ChooseUnits(ConvGemm* op) {
  constexpr uint32_t kCacheBytes = 256 * 1024, kWantedUnits = 24;
  const uint32_t area = op->s.out_height * op->s.out_width, columns = op->s.features / op->p.groups;
  const uint32_t row_bytes = op->s.channels * 4 * (op->taps > 1 ? 2 : 1);
  const uint32_t rows = Most(2 * kTileRows, Least(36 * kTileRows, kCacheBytes / row_bytes));
  op->chunk_rows = Least(CeilDiv(rows, kTileRows) * kTileRows, CeilDiv(area, kTileRows) * kTileRows);
  op->chunks = op->pooled ? 1 : CeilDiv(area, op->chunk_rows);
  const uint32_t panels = CeilDiv(columns, kPanel), others = op->s.batch * op->p.groups * op->chunks;
  const uint32_t wanted = Most(1, Least(panels, CeilDiv(kWantedUnits, others)));
  op->chunk_columns = CeilDiv(panels, wanted) * kPanel;
  op->column_chunks = CeilDiv(columns, op->chunk_columns);
}

static const Op* MakeConvGemm(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(ConvGemm));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) ConvGemm();
  op->p = *static_cast<const Conv2dParams*>(step.params);
  op->s = ShapeOf(step);
  op->x = DataOf(step.inputs[0]);
  op->residual = DataOf(InputAt(step, 3));
  op->y = DataOf(OutputAt(step, 0));
  op->pooled = DataOf(OutputAt(step, 1));
  op->act = MakeActivation(op->p.activation, op->p.a, op->p.b);
  op->is_merged = op->p.groups == 1 && op->p.dilation_w == 1;
  op->taps = op->is_merged ? op->p.kernel_h : op->p.kernel_h * op->p.kernel_w;
  op->run = op->is_merged ? op->p.kernel_w * op->s.channels : op->s.channels / op->p.groups;
  ChooseUnits(op);
  op->zeros = static_cast<const float*>(memory.Allocate(op->run * sizeof(float)));
  auto* weights = static_cast<GemmWeights*>(memory.Allocate(op->p.groups * sizeof(GemmWeights)));
  if (!op->zeros || !weights) return GAPCAM_NO_MEMORY;
  op->weights = weights;
  for (uint32_t group = 0; group < op->p.groups; ++group) {
    if (!PackConvWeights(step, *op, group, memory, &weights[group])) return GAPCAM_NO_MEMORY;
  }
  return op;
}

}  // namespace
}  // namespace gapcam
