// Makes the op of a chain: divides its work among threads and caches, and packs its weights. A depthwise conv2d is a
// chain of only a window.
namespace gapcam {
namespace {

// The share of the chain's work that is done twice if each band has `rows` rows of results.
static double SeamCost(const Chain& op, uint32_t rows) {
  const double once = rows * op.stride_h,
               share = op.has_expand ? static_cast<double>(op.ExpandFlops()) / op.Flops() : 0.1;
  return rows >= op.s.out_height ? 0 : share * (op.Reach(rows) - once) / once;
}

// Chooses the bands: one for each thread, or several where seams are cheap, so that the others wait less for a delayed
// thread.
static void ChooseUnits(Chain* op, uint32_t threads, size_t cache_bytes) {
  constexpr double kCheap = 0.02, kDear = 0.1;
  const ConvShape& s = op->s;
  uint32_t wanted = threads;
  const auto rows_of = [&s](uint32_t bands) { return CeilDiv(s.out_height, bands); };
  while (threads > 1 && wanted < 4 * threads && SeamCost(*op, rows_of(wanted + threads)) <= kCheap) wanted += threads;
  // The results of all blocks must stay in a cache until they are projected.
  const size_t results = static_cast<size_t>(op->blocks) * op->SharedFloats() * sizeof(E);
  op->is_by_block = op->blocks > 1 && SeamCost(*op, rows_of(wanted)) > kDear && results <= cache_bytes;
  if (op->is_by_block) wanted = op->blocks < 2 * threads ? 2 : 1;
  op->band_rows = rows_of(Least(wanted, s.out_height));
  op->bands = CeilDiv(s.out_height, op->band_rows);
  // Pixels of one projection unit: as small as possible among the sizes that keep all threads equally busy.
  const uint32_t tiles = CeilDiv(s.out_height * s.out_width, kTileRows);
  uint32_t best = UINT32_MAX;
  for (uint32_t units = threads; units <= 4 * threads; ++units) {
    const uint32_t chunk = CeilDiv(tiles, units), busy = CeilDiv(CeilDiv(tiles, chunk), threads) * chunk;
    if (busy <= best) best = busy, op->project_pixels = chunk * kTileRows;
  }
  op->project_units = CeilDiv(s.out_height * s.out_width, op->project_pixels);
}

// Chooses the rows of a strip. It is the whole band if that takes at most half of the second-level cache, so that
// weights are read once. Otherwise it has enough rows to fill the product's tiles, and more while all blocks fit into a
// quarter.
static void ChooseStrips(Chain* op, size_t cache_bytes) {
  const ConvShape& s = op->s;
  const size_t half = cache_bytes / sizeof(E) / 2;
  const auto fits = [op](uint32_t rows, uint32_t ring_blocks, size_t floats) {
    op->strip_rows = rows, op->ring_rows = op->Reach(rows), op->ring_blocks = ring_blocks;
    return op->CacheFloats() <= floats;
  };
  if (fits(op->band_rows, 1, half)) return;
  const uint32_t rings = op->is_by_block ? 1 : op->blocks;
  uint32_t rows = Least(CeilDiv(2 * kTileRows, s.out_width), op->band_rows);
  while (rows < op->band_rows && fits(rows + 1, rings, half / 2)) ++rows;
  fits(rows, rings, 0);
}

// The parameters of a chain's expansion as those of a convolution.
static Conv2dParams ExpandParams(const ChainParams& p) {
  return {p.expand_kernel_h,
          p.expand_kernel_w,
          p.expand_stride_h,
          p.expand_stride_w,
          p.expand_pad_top,
          p.expand_pad_left,
          p.expand_pad_bottom,
          p.expand_pad_right,
          p.expand_dilation_h,
          p.expand_dilation_w,
          1,
          p.expand_activation,
          p.expand_a,
          p.expand_b};
}

// Sets the sizes, tensors and activations of a chain from its step.
static void SetUpChain(Chain* op, const StepRef& step) {
  const auto& p = *static_cast<const ChainParams*>(step.params);
  const TensorRef &x = *step.inputs[0], &y = *step.outputs[0];
  const TensorRef *expand = InputAt(step, 3), *project = InputAt(step, 5);
  const uint32_t middle = expand ? expand->dims[0] : x.dims[3];
  const Conv2dParams e = ExpandParams(p);
  ConvShape source = {x.dims[0], x.dims[1], x.dims[2], x.dims[3], x.dims[1], x.dims[2], middle};
  if (expand) {
    source.out_height = OutSize(source.height, e.pad_top + e.pad_bottom, e.kernel_h, e.stride_h, e.dilation_h);
    source.out_width = OutSize(source.width, e.pad_left + e.pad_right, e.kernel_w, e.stride_w, e.dilation_w);
    op->expand_rows.SetUp(e, source);
    op->expand_act = MakeActivation(e.activation, e.a, e.b);
  }
  op->has_expand = expand != nullptr;
  op->has_project = project != nullptr;
  op->s = {x.dims[0], source.out_height, source.out_width, middle, y.dims[1], y.dims[2], middle};
  op->picture_floats = x.elements / x.dims[0];
  op->features = y.dims[3];
  op->blocks = CeilDiv(middle, kBlock);
  op->stride_h = p.stride_h, op->dilation_h = p.dilation_h, op->pad_top = p.pad_top, op->pad_left = p.pad_left;
  op->x = DataOf(&x);
  op->residual = DataOf(InputAt(step, 7));
  op->y = DataOf(&y);
  op->pooled = FloatsOf(OutputAt(step, 1));
  op->window = {p.op == WindowOp::kMax,
                p.kernel_h,
                p.kernel_w,
                p.stride_w,
                p.dilation_w,
                op->s.out_width,
                nullptr,
                nullptr,
                MakeActivation(p.activation, p.a, p.b),
                nullptr};
  op->window.row = ChooseWindowRow(op->window);
  op->project_act = MakeActivation(p.project_activation, p.project_a, p.project_b);
  op->ring_width =
      Most(op->pad_left + op->s.width, (op->s.out_width - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1);
}

// Takes the memory that a chain shares between its phases, and packs its weights. Returns false when memory is short.
static bool PackChain(Chain* op, const StepRef& step, Allocator& memory) {
  const TensorRef *weights = InputAt(step, 1), *expand = InputAt(step, 3), *project = InputAt(step, 5);
  const uint32_t middle = op->s.channels;
  if (op->is_by_block && project) {
    op->shared = static_cast<E*>(memory.Allocate(op->s.batch * op->blocks * op->SharedFloats() * sizeof(E)));
    if (!op->shared) return false;
  }
  if (weights && !PackWindow(FloatsOf(weights), FloatsOf(InputAt(step, 2)), middle, memory, &op->window)) return false;
  if (op->pooled) {
    const size_t floats = static_cast<size_t>(op->s.batch) * op->s.out_height * op->blocks * kBlock;
    op->row_sums = static_cast<float*>(memory.Allocate(floats * sizeof(float)));
    if (!op->row_sums) return false;
  }
  if (expand && !PackConvWeights(op->expand_rows, FloatsOf(expand), FloatsOf(InputAt(step, 4)), memory, &op->expand))
    return false;
  return !project || MakeGemmWeights(FloatsOf(project), 1, middle, middle, op->features, FloatsOf(InputAt(step, 6)),
                                     memory, &op->project);
}

static const Op* MakeChain(const StepRef& step, Allocator& memory, const char** reason) {
  void* place = memory.Allocate(sizeof(Chain));
  if (!place) return GAPCAM_NO_MEMORY;
  auto* op = new (place) Chain();
  SetUpChain(op, step);
  ChooseUnits(op, step.threads, step.cache_bytes);
  ChooseStrips(op, step.cache_bytes);
  return PackChain(op, step, memory) ? op : GAPCAM_NO_MEMORY;
}

// Whether a conv2d step has one kernel per channel and as many outputs as inputs.
GAPCAM_INLINE bool IsDepthwise(const StepRef& step) {
  const auto& p = *static_cast<const Conv2dParams*>(step.params);
  const uint32_t channels = step.inputs[0]->dims[3];
  return p.groups == channels && step.inputs[1]->dims[0] == channels;
}

// Makes a depthwise conv2d as a chain of only a window.
static const Op* MakeDepthwise(const StepRef& step, Allocator& memory, const char** reason) {
  const auto& c = *static_cast<const Conv2dParams*>(step.params);
  ChainParams p = {};
  p.op = WindowOp::kDepthwise;
  p.kernel_h = c.kernel_h, p.kernel_w = c.kernel_w, p.stride_h = c.stride_h, p.stride_w = c.stride_w;
  p.pad_top = c.pad_top, p.pad_left = c.pad_left, p.pad_bottom = c.pad_bottom, p.pad_right = c.pad_right;
  p.dilation_h = c.dilation_h, p.dilation_w = c.dilation_w;
  p.activation = c.activation, p.a = c.a, p.b = c.b;
  // If only the pooled mean is wanted, the map still needs a place.
  const ConvShape s = ShapeOf(step);
  TensorRef map = {nullptr, PlanType::kFloat32, {s.batch, s.out_height, s.out_width, s.channels, 1}, 4, 0, false, 1, 0};
  if (!OutputAt(step, 0))
    map.data = memory.Allocate(static_cast<size_t>(s.batch) * s.out_height * s.out_width * s.channels * sizeof(E));
  if (!OutputAt(step, 0) && !map.data) return GAPCAM_NO_MEMORY;
  const TensorRef* inputs[] = {step.inputs[0], step.inputs[1], InputAt(step, 2), nullptr,
                               nullptr,        nullptr,        nullptr,          InputAt(step, 3)};
  const TensorRef* outputs[] = {OutputAt(step, 0) ? OutputAt(step, 0) : &map, OutputAt(step, 1)};
  return MakeChain({StepKind::kChain, step.name, &p, inputs, 8, outputs, 2, step.threads, step.cache_bytes}, memory,
                   reason);
}

}  // namespace
}  // namespace gapcam
