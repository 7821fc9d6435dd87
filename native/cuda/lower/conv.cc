// Lowers convolutions and matrix products: chooses kernel, tile and split of the depth, and packs the weights.
#include <algorithm>

#include "lowering.h"

namespace gapcam {
namespace cuda {
namespace {

// Up to this many rows, one warp computes each result (dense_row). With more rows, a tile of the product kernels pays.
constexpr uint32_t kFewRows = 4;
// A part of the depth has at least this length: the sums of each part go through memory.
constexpr uint32_t kLeastSplit = 128, kMostSplits = 16;

uint32_t Blocks(const ConvSpec& spec, uint32_t tile) {
  return CeilDiv(spec.pixels(), tile) * CeilDiv(spec.features / spec.groups, tile) * spec.groups;
}

// Splits the depth if there are too few blocks to keep the multiprocessors busy.
Tiling SplitDepth(const ConvSpec& spec, uint32_t tile, uint32_t depth, uint32_t step, uint32_t wanted_blocks) {
  uint32_t splits = std::min({CeilDiv(wanted_blocks, Blocks(spec, tile)), depth / kLeastSplit, kMostSplits});
  if (splits < 2 || uint64_t{splits} * spec.pixels() * spec.features >= uint64_t{1} << 31) splits = 1;
  const uint32_t each = RoundUp(CeilDiv(depth, splits), step);
  return {tile, CeilDiv(depth, each), each};
}

// Large tiles reuse more of what they load; small tiles keep more multiprocessors busy. A pooled result needs all
// pixels in one tile. A depthwise window before the product needs all features in one tile, or each tile would compute
// it again.
Tiling ChooseTiling(const ConvSpec& spec, uint32_t depth, uint32_t step, uint32_t wanted_blocks, bool is_pooled_here) {
  const uint32_t features = spec.features / spec.groups;
  if (is_pooled_here) return {spec.pixels() > 32 ? 64u : 32u, 1, RoundUp(depth, step)};
  const bool is_large = features > 32 && (spec.before || Blocks(spec, 64) >= wanted_blocks);
  return SplitDepth(spec, is_large ? 64 : 32, depth, step, wanted_blocks);
}

ConvParams& ConvOf(ConvParams& p) { return p; }
ConvParams& ConvOf(SeparableParams& p) { return p.conv; }

}  // namespace

Place Lowering::PackProduct(const ConvSpec& spec, uint32_t packed_depth, uint32_t packed_features) {
  const PlanTensor& w = *spec.weights;
  const uint32_t channels = spec.channels / spec.groups, features = spec.features / spec.groups;
  const uint32_t taps = spec.window.kernel_h * spec.window.kernel_w;
  // The plan has weights as [features][channels][taps] (a matrix has one tap). The depth is ordered [taps][channels].
  const auto value = [&](uint32_t group, uint32_t feature, uint32_t k) {
    if (feature >= features || k >= taps * channels) return 0.0f;
    if (spec.is_transposed_matrix) return ValueAt(w, uint64_t{k} * features + feature);
    return ValueAt(w, (uint64_t{group * features + feature} * channels + k % channels) * taps + k / channels);
  };
  const uint32_t of_group = packed_depth * packed_features;
  return Pack(spec.groups * of_group, [&](uint32_t i) {
    const uint32_t group = i / of_group, rest = i % of_group;
    return is_half_ ? value(group, rest / packed_depth, rest % packed_depth)
                    : value(group, rest % packed_features, rest / packed_features);
  });
}

// The parameters of a product kernel, except its buffers.
void Lowering::SetProduct(const ConvSpec& spec, const Tiling& tiling, ConvParams* p) const {
  const ConvSpec& picture = spec.before ? *spec.before : spec;  // the convolution whose window slides over the picture
  const WindowParams& w = picture.window;
  p->pixels = spec.pixels(), p->depth = spec.depth(), p->features = spec.features / spec.groups,
  p->groups = spec.groups;
  p->packed_depth = RoundUp(p->depth, is_half_ ? 32 : 16), p->packed_features = RoundUp(p->features, tiling.tile);
  p->splits = tiling.splits, p->depth_per_split = tiling.depth_per_split;
  p->height = picture.height, p->width = picture.width, p->channels = picture.channels,
  p->group_channels = spec.channels / spec.groups;
  p->stride_h = w.stride_h, p->stride_w = w.stride_w, p->pad_top = w.pad_top, p->pad_left = w.pad_left,
  p->dilation_h = w.dilation_h, p->dilation_w = w.dilation_w;
  p->by_channels = DivideBy(p->group_channels), p->by_kernel_w = DivideBy(spec.window.kernel_w);
  p->by_out_area = DivideBy(spec.out_height * spec.out_width), p->by_out_width = DivideBy(spec.out_width);
}

// Adds the launches of a product. `kernels`: single precision, WMMA, mma, each with the large and the small tile.
template <typename Params>
Status Lowering::MultiplyBy(const KernelId (&kernels)[3][2], const ConvSpec& spec, Draft<Params> draft) {
  const bool is_pooled_here = spec.pooled && spec.batch == 1 && spec.pixels() <= 64;
  const Tiling tiling = ChooseTiling(spec, spec.depth(), is_half_ ? 32 : 16, wanted_blocks_, is_pooled_here);
  ConvParams& p = ConvOf(draft.p);
  SetProduct(spec, tiling, &p);
  if (uint64_t{spec.groups} * p.packed_depth * p.packed_features >= uint64_t{1} << 31)
    return Refuse("has weights too large for the GPU's kernels");
  if (uint64_t{spec.groups} * tiling.splits > 65535 || CeilDiv(p.features, tiling.tile) > 65535)
    return Refuse("has more groups or features than a launch can have blocks");
  const uint64_t results = uint64_t{spec.pixels()} * spec.features;
  // A mean over more pixels than one tile needs a separate launch, and the results in memory.
  const Place y = spec.y || is_pooled_here ? spec.y : ScratchLike(results);
  const Place partial = tiling.splits > 1 ? Scratch(results * tiling.splits, kFloatBytes) : Place();
  const Place bias = PackBias(spec.bias);
  draft.Put(&p.x, spec.before ? spec.before->x : spec.x);
  draft.Put(&p.weights, PackProduct(spec, p.packed_depth, p.packed_features));
  draft.Put(&p.partial, partial);
  if (tiling.splits == 1) {
    draft.PutFinish(&p, spec, bias, y);
    if (is_pooled_here) draft.Put(&p.pooled, spec.pooled);
  }
  Add(kernels[is_half_ ? 1 + has_mma_ : 0][tiling.tile == 32], draft, CeilDiv(spec.pixels(), tiling.tile),
      CeilDiv(p.features, tiling.tile), spec.groups * tiling.splits);
  if (tiling.splits > 1) AddSplits(spec, partial, bias, y, tiling.splits);
  if (spec.pooled && !is_pooled_here) Mean(y, spec.pooled, spec.batch, spec.out_height * spec.out_width, spec.features);
  return Status::Ok();
}

void Lowering::AddSplits(const ConvSpec& spec, const Place& partial, const Place& bias, const Place& y,
                         uint32_t splits) {
  Draft<SplitSumParams> draft;
  draft.Put(&draft.p.partial, partial);
  draft.PutFinish(&draft.p, spec, bias, y);
  draft.p.elements = spec.pixels() * spec.features, draft.p.features = spec.features, draft.p.splits = splits;
  draft.p.by_features = DivideBy(spec.features);
  AddThreads(KernelId::split_sum_f32, KernelId::split_sum_f16, draft, draft.p.elements);
}

Status Lowering::Multiply(const ConvSpec& spec) {
  using Id = KernelId;
  if (!spec.before) {
    static const Id kKernels[3][2] = {{Id::conv_f32_64x64, Id::conv_f32_32x32},
                                      {Id::conv_f16_wmma_64x64, Id::conv_f16_wmma_32x32},
                                      {Id::conv_f16_mma_64x64, Id::conv_f16_mma_32x32}};
    return MultiplyBy(kKernels, spec, Draft<ConvParams>());
  }
  static const Id kKernels[3][2] = {{Id::separable_f32_64x64, Id::separable_f32_32x32},
                                    {Id::separable_f16_wmma_64x64, Id::separable_f16_wmma_32x32},
                                    {Id::separable_f16_mma_64x64, Id::separable_f16_mma_32x32}};
  Draft<SeparableParams> draft;
  draft.Put(&draft.p.window_weights, PackWindow(*spec.before));
  draft.Put(&draft.p.window_bias, PackBias(spec.before->bias));
  draft.p.kernel_h = spec.before->window.kernel_h, draft.p.kernel_w = spec.before->window.kernel_w,
  draft.p.window_activation = spec.before->activation;
  return MultiplyBy(kKernels, spec, draft);
}

// Weights of a depthwise window as [taps][channels].
Place Lowering::PackWindow(const ConvSpec& spec) {
  const uint32_t taps = spec.window.kernel_h * spec.window.kernel_w;
  return Pack(taps * spec.channels, [&](uint32_t i) {
    return ValueAt(*spec.weights, uint64_t{i % spec.channels} * taps + i / spec.channels);
  });
}

// A thread takes 16 bytes of neighbouring channels, or one channel if their number is not a multiple of that.
SlideParams Lowering::SlideOf(const ConvSpec& spec) const {
  const uint32_t vector = 16 / element_bytes(),
                 vectors = spec.channels % vector == 0 ? spec.channels / vector : spec.channels;
  return {spec.window,
          spec.height,
          spec.width,
          spec.channels,
          spec.out_height,
          spec.out_width,
          spec.pixels() * vectors,
          DivideBy(vectors),
          DivideBy(spec.out_width),
          DivideBy(spec.out_height)};
}

void Lowering::Slide(const ConvSpec& spec) {
  const Place y = spec.y ? spec.y : ScratchLike(uint64_t{spec.pixels()} * spec.channels);
  Draft<DepthwiseParams> draft;
  draft.Put(&draft.p.x, spec.x);
  draft.Put(&draft.p.weights, PackWindow(spec));
  draft.PutFinish(&draft.p, spec, PackBias(spec.bias), y);
  draft.p.slide = SlideOf(spec);
  AddThreads(KernelId::depthwise_f32, KernelId::depthwise_f16, draft, draft.p.slide.threads);
  if (spec.pooled) Mean(y, spec.pooled, spec.batch, spec.out_height * spec.out_width, spec.features);
}

// Whether the kernel of a 1×1 convolution may also compute the depthwise window before it: one tile must hold all
// features.
bool Lowering::MayJoin(const ConvSpec& window, const ConvSpec& project) const {
  return window.IsDepthwise() && window.channels % (is_half_ ? 8 : 4) == 0 && project.features <= 64 &&
         window.window.kernel_h * window.window.kernel_w <= 25;
}

Status Lowering::Convolve(const ConvSpec& spec) {
  if (!spec.IsDepthwise()) return Multiply(spec);
  Slide(spec);
  return Status::Ok();
}

Status Lowering::LowerConv(const PlanStep& step) {
  const auto& c = step.As<Conv2dParams>();
  const PlanTensor& x = *InputOf(step, 0);
  ConvSpec spec;
  spec.activation = {c.activation, c.a, c.b};
  spec.weights = InputOf(step, 1), spec.bias = InputOf(step, 2);
  spec.groups = c.groups, spec.batch = x.dims[0], spec.height = x.dims[1], spec.width = x.dims[2],
  spec.channels = x.dims[3], spec.features = spec.weights->dims[0];
  spec.SetWindow({c.kernel_h, c.kernel_w, c.stride_h, c.stride_w, c.pad_top, c.pad_left, c.pad_bottom, c.pad_right,
                  c.dilation_h, c.dilation_w});
  spec.x = Of(step.inputs[0]), spec.residual = Of(step.inputs, 3), spec.y = ResultOf(step, 0),
  spec.pooled = ResultOf(step, 1);
  return Convolve(spec);
}

void Lowering::DenseRows(const ConvSpec& spec) {
  const PlanTensor& w = *spec.weights;
  const uint32_t depth = spec.channels;
  Draft<DenseRowParams> draft;
  draft.Put(&draft.p.x, spec.x);
  draft.Put(&draft.p.weights, Pack(spec.features * depth, [&](uint32_t i) {
    return spec.is_transposed_matrix ? ValueAt(w, uint64_t{i % depth} * spec.features + i / depth) : ValueAt(w, i);
  }));
  draft.PutFinish(&draft.p, spec, PackBias(spec.bias), spec.y);
  draft.p.rows = spec.batch, draft.p.depth = depth, draft.p.features = spec.features,
  draft.p.by_features = DivideBy(spec.features);
  AddThreads(KernelId::dense_row_f32, KernelId::dense_row_f16, draft, uint64_t{spec.batch} * spec.features * 32);
}

Status Lowering::LowerDense(const PlanStep& step) {
  const auto& d = step.As<DenseParams>();
  ConvSpec spec;
  spec.weights = InputOf(step, 1), spec.bias = InputOf(step, 2);
  spec.channels = spec.weights->dims[d.transposed ? 1 : 0], spec.features = spec.weights->dims[d.transposed ? 0 : 1];
  spec.is_transposed_matrix = !d.transposed;
  spec.batch = InputOf(step, 0)->elements / spec.channels;
  spec.activation = {d.activation, d.a, d.b};
  spec.x = Of(step.inputs[0]), spec.residual = Of(step.inputs, 3), spec.y = ResultOf(step, 0);
  if (spec.batch > kFewRows) return Multiply(spec);
  if (uint64_t{spec.batch} * spec.features * 32 >= uint64_t{1} << 31)
    return Refuse("has more results than a launch can have threads");
  DenseRows(spec);
  return Status::Ok();
}

}  // namespace cuda
}  // namespace gapcam
