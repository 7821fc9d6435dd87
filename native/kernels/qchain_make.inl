// Makes a chain of bytes that is computed strip by strip (qchain_strips.inl): chooses its units and strips, and packs its
// weights.
namespace gapcam {
namespace {

// The longest time of a band over an equal share of the work, if each band has `rows` rows of results. At a seam two bands
// expand the same rows.
static double BandLoad(const QuantStrips& op, uint32_t rows, uint32_t threads) {
  const ConvShape& s = op.s;
  const double expanded = static_cast<double>(op.ExpandFlops()) / s.height,
               rest = static_cast<double>(op.Flops() - op.ExpandFlops()) / s.out_height;
  double most = 0;
  for (uint32_t first = 0; first < s.out_height; first += rows) {
    const uint32_t count = Least(rows, s.out_height - first), top = first * op.stride_h;
    const uint32_t bottom = top + (count - 1) * op.stride_h + op.window.kernel_h;
    const double work = expanded * (op.Inside(bottom) - op.Inside(top)) + rest * count;
    most = work > most ? work : most;
  }
  return most * threads / static_cast<double>(op.Flops()) * s.batch;
}

// The same if each unit is a block of channels. Then threads read what others have written in their caches.
static double BlockLoad(const QuantStrips& op, uint32_t threads) {
  constexpr double kExchange = 1.2;
  return kExchange * CeilDiv(op.blocks, threads) * threads / op.blocks;
}

// Chooses units and the rows of a strip. With one thread there is one band. A strip is the whole band if that takes at
// most half of the second-level cache; otherwise it has as many rows as keep all blocks in a quarter of it.
static void ChooseStrips(QuantStrips* op, uint32_t threads, size_t cache_bytes) {
  const ConvShape& s = op->s;
  constexpr uint32_t kShort = 8;  // rows of a band, which then may begin with an odd row, where no pair of rows begins
  const uint32_t share = CeilDiv(s.out_height, threads);
  op->band_rows = share > kShort ? Least(CeilDiv(share, 2) * 2, s.out_height) : share;
  op->is_by_block = op->blocks > 1 && BandLoad(*op, op->band_rows, threads) > BlockLoad(*op, threads) &&
                    op->SharedBytes() <= cache_bytes;
  if (op->is_by_block) op->band_rows = s.out_height;
  op->bands = CeilDiv(s.out_height, op->band_rows);
  const auto fits = [op](uint32_t rows, uint32_t ring_blocks, size_t bytes) {
    op->strip_rows = rows, op->ring_blocks = ring_blocks;
    return op->ScratchBytes() <= bytes;
  };
  const uint32_t tiles = CeilDiv(s.out_height * s.out_width, kSumRows);
  op->project_pixels = CeilDiv(tiles, 4 * threads) * kSumRows;
  op->project_units = CeilDiv(s.out_height * s.out_width, op->project_pixels);
  if (fits(op->band_rows, 1, cache_bytes / 2)) return;
  const uint32_t rings = op->is_by_block ? 1 : op->blocks;
  uint32_t rows = 2;
  while (rows < op->band_rows && fits(rows + 2, rings, cache_bytes / 4)) rows += 2;
  fits(Least(rows, op->band_rows), rings, 0);
}

// The weights of one product of a chain, whose weights are input `at`.
static WeightSource ChainSource(const StepRef& step, uint32_t at) {
  const TensorRef &w = *step.inputs[at], *bias = step.inputs[at + 1];
  WeightSource source = {};
  source.tensor = &w;
  source.bias = bias ? static_cast<const int32_t*>(bias->data) : nullptr;
  source.scales = static_cast<const float*>(step.inputs[at + 2]->data);
  source.position_stride = 1, source.channel_stride = w.dims[2] * w.dims[3];
  source.column_stride = static_cast<size_t>(w.dims[1]) * w.dims[2] * w.dims[3];
  source.columns = w.dims[0], source.channels = w.dims[1];
  return source;
}

// The window of a chain's expansion as that of a convolution.
GAPCAM_INLINE Conv2dParams ExpandWindowOf(const QchainParams& p) {
  Conv2dParams window = {};
  window.kernel_h = p.expand_kernel_h, window.kernel_w = p.expand_kernel_w;
  window.stride_h = p.expand_stride_h, window.stride_w = p.expand_stride_w;
  window.pad_top = p.expand_pad_top, window.pad_left = p.expand_pad_left;
  window.pad_bottom = p.expand_pad_bottom, window.pad_right = p.expand_pad_right;
  window.dilation_h = p.expand_dilation_h, window.dilation_w = p.expand_dilation_w, window.groups = 1;
  return window;
}

// Makes a chain with a projection, whose window has no vertical dilation.
static const Op* MakeQuantStrips(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(QuantStrips));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) QuantStrips();
  const auto& p = *static_cast<const QchainParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0], *expand = step.inputs[4], *residual = InputAt(step, 10);
  op->x = BytesOf(&x), op->y = BytesOf(&y), op->residual = BytesOf(residual);
  op->x_end = op->x + x.elements, op->picture_bytes = x.elements / x.dims[0];
  const uint32_t middle = step.inputs[1]->dims[0];
  op->s = {x.dims[0], x.dims[1], x.dims[2], middle, y.dims[1], y.dims[2], y.dims[3]};
  op->has_expand = expand != nullptr;
  op->stride_h = p.stride_h;
  op->blocks = CeilDiv(middle, kWindowBlock);
  if (expand) {
    const Conv2dParams e = ExpandWindowOf(p);
    op->s.height = OutSize(x.dims[1], e.pad_top + e.pad_bottom, e.kernel_h, e.stride_h, e.dilation_h);
    op->s.width = OutSize(x.dims[2], e.pad_left + e.pad_right, e.kernel_w, e.stride_w, e.dilation_w);
    op->expand_rows.SetUp(e, {x.dims[0], x.dims[1], x.dims[2], x.dims[3], op->s.height, op->s.width, middle},
                          x.zero_point);
    op->expand_end = {{p.expand_zero, p.expand_low, p.expand_high}, {}, false};
  }
  const int32_t zero = expand ? p.expand_zero : x.zero_point;
  SetUpWindow(p, op->s, zero, &op->window, &op->ring);
  op->window_end = {p.window_zero, p.window_low, p.window_high};
  op->project_end = EndOf(p, residual, y);
  ChooseStrips(op, step.threads, step.cache_bytes);
  if (op->is_by_block) op->shared = static_cast<char*>(memory.Allocate(op->SharedBytes() + kReadAhead));
  if (op->is_by_block && !op->shared) return GAPCAM_NO_MEMORY;
  WeightSource project = ChainSource(step, 7), sliding = ChainSource(step, 1);
  project.taps = 1, project.run = middle;
  sliding.taps = p.kernel_h, sliding.run = p.kernel_w;
  bool is_packed = MakeQuantWeights(project, p.window_zero, memory, &op->project) &&
                   PackQuantWindow(sliding, zero, memory, &op->window);
  if (expand && is_packed) {
    WeightSource source = ChainSource(step, 4);
    source.taps = op->expand_rows.taps, source.run = op->expand_rows.run;
    is_packed = MakeQuantWeights(source, x.zero_point, memory, &op->expand);
  }
  return is_packed ? op : GAPCAM_NO_MEMORY;
}

}  // namespace
}  // namespace gapcam
