// Lowers the steps that are one launch each: pooling, lines, elements, movement.
#include <algorithm>

#include "lowering.h"

namespace gapcam {
namespace cuda {

void Lowering::AddPool(const ConvSpec& spec, Pool op, uint32_t count_padding) {
  Draft<PoolParams> draft;
  draft.Put(&draft.p.x, spec.x);
  draft.Put(&draft.p.residual, spec.residual);
  draft.Put(&draft.p.y, spec.y);
  draft.p.slide = SlideOf(spec), draft.p.op = op, draft.p.count_padding = count_padding;
  AddThreads(KernelId::pool_f32, KernelId::pool_f16, draft, draft.p.slide.threads);
}

void Lowering::LowerPool(const PlanStep& step) {
  const auto& c = step.As<Pool2dParams>();
  const PlanTensor &x = *InputOf(step, 0), &y = *TensorOf(step.outputs[0]);
  ConvSpec spec;
  spec.window = {c.kernel_h, c.kernel_w,   c.stride_h,  c.stride_w,   c.pad_top,
                 c.pad_left, c.pad_bottom, c.pad_right, c.dilation_h, c.dilation_w};
  spec.batch = x.dims[0], spec.height = x.dims[1], spec.width = x.dims[2], spec.channels = x.dims[3];
  spec.out_height = y.dims[1], spec.out_width = y.dims[2];  // with ceil_mode larger than the window implies
  spec.x = Of(step.inputs[0]), spec.y = ResultOf(step, 0);
  AddPool(spec, c.op, c.count_padding);
}

// Chooses how a warp's lanes divide the lines: neighbouring lines side by side make its loads contiguous, and long
// lines get more lanes each.
void Lowering::AlongLines(KernelId single, KernelId half, uint32_t op, uint32_t outer, uint32_t length, uint32_t inner,
                          const Place& x, const Place& y) {
  uint32_t lanes = 1;
  while (lanes < inner && lanes < (length >= 16 ? 8u : 32u)) lanes *= 2;
  const uint32_t groups = CeilDiv(inner, lanes);
  Draft<LineParams> draft;
  draft.Put(&draft.p.x, x);
  draft.Put(&draft.p.y, y);
  draft.p.op = op, draft.p.outer = outer, draft.p.length = length, draft.p.inner = inner, draft.p.inner_lanes = lanes;
  draft.p.groups_of_lines = outer * groups, draft.p.by_inner_groups = DivideBy(groups);
  AddThreads(single, half, draft, uint64_t{outer} * groups * 32);
}

void Lowering::Mean(const Place& x, const Place& y, uint32_t outer, uint32_t length, uint32_t inner) {
  AlongLines(KernelId::reduce_f32, KernelId::reduce_f16, static_cast<uint32_t>(Reduce::kMean), outer, length, inner, x,
             y);
}

void Lowering::LowerReduce(const PlanStep& step) {
  const auto& p = step.As<ReduceParams>();
  AlongLines(KernelId::reduce_f32, KernelId::reduce_f16, static_cast<uint32_t>(p.op), p.outer, p.length, p.inner,
             Of(step.inputs[0]), ResultOf(step, 0));
}

void Lowering::LowerSoftmax(const PlanStep& step) {
  const auto& p = step.As<SoftmaxParams>();
  AlongLines(KernelId::softmax_f32, KernelId::softmax_f16, p.logarithm, p.outer, p.length, p.inner, Of(step.inputs[0]),
             ResultOf(step, 0));
}

void Lowering::LowerLpNormalization(const PlanStep& step) {
  const auto& p = step.As<LpNormalizationParams>();
  AlongLines(KernelId::lp_normalization_f32, KernelId::lp_normalization_f16, p.p, p.outer, p.length, p.inner,
             Of(step.inputs[0]), ResultOf(step, 0));
}

void Lowering::LowerElementwise(const PlanStep& step) {
  const auto& c = step.As<ElementwiseParams>();
  Draft<ElementwiseKernelParams> draft;
  draft.Put(&draft.p.x, Of(step.inputs[0]));
  draft.Put(&draft.p.y, ResultOf(step, 0));
  draft.p.elements = draft.p.y.elements, draft.p.activation = {c.activation, c.a, c.b};
  AddThreads(KernelId::elementwise_f32, KernelId::elementwise_f16, draft, draft.p.elements);
}

// The strides of an operand along the dimensions of y, the innermost first; 0 where the operand is broadcast.
static void AlignedStrides(const PlanTensor& tensor, uint32_t (&strides)[5]) {
  uint32_t stride = 1;
  for (uint32_t i = 0; i < 5; ++i) {
    const uint32_t size = i < tensor.rank ? tensor.dims[tensor.rank - 1 - i] : 1;
    strides[i] = size == 1 ? 0 : stride;
    stride *= size;
  }
}

void Lowering::LowerBinary(const PlanStep& step) {
  const auto& c = step.As<BinaryParams>();
  const PlanTensor& y = *TensorOf(step.outputs[0]);
  Draft<BinaryKernelParams> draft;
  BinaryKernelParams& p = draft.p;
  draft.Put(&p.x, Of(step.inputs[0]));
  draft.Put(&p.z, Of(step.inputs[1]));
  draft.Put(&p.y, ResultOf(step, 0));
  p.op = c.op, p.elements = y.elements, p.activation = {c.activation, c.a, c.b};
  for (uint32_t i = 0; i < 4; ++i) p.dims[i] = DivideBy(i < y.rank ? y.dims[y.rank - 1 - i] : 1);
  AlignedStrides(*InputOf(step, 0), p.x_stride);
  AlignedStrides(*InputOf(step, 1), p.z_stride);
  AddThreads(KernelId::binary_f32, KernelId::binary_f16, draft, p.elements);
}

void Lowering::LowerProduct(const PlanStep& step) {
  const auto& c = step.As<ProductParams>();
  const uint32_t row_tiles = CeilDiv(c.rows, kProductTile), column_tiles = CeilDiv(c.columns, kProductTile);
  Draft<ProductKernelParams> draft;
  ProductKernelParams& p = draft.p;
  draft.Put(&p.x, Of(step.inputs[0]));
  draft.Put(&p.z, Of(step.inputs[1]));
  draft.Put(&p.y, ResultOf(step, 0));
  p.rows = c.rows, p.depth = c.depth, p.columns = c.columns;
  p.x_step = p.x.elements == c.rows * c.depth ? 0 : c.rows * c.depth,
  p.z_step = p.z.elements == c.depth * c.columns ? 0 : c.depth * c.columns;
  p.by_row_tiles = DivideBy(row_tiles), p.by_column_tiles = DivideBy(column_tiles);
  p.activation = {c.activation, c.a, c.b};
  Add(Choose(KernelId::product_f32, KernelId::product_f16), draft, c.batches * row_tiles * column_tiles);
}

void Lowering::LowerLrn(const PlanStep& step) {
  const PlanTensor& x = *InputOf(step, 0);
  Draft<LrnKernelParams> draft;
  draft.Put(&draft.p.x, Of(step.inputs[0]));
  draft.Put(&draft.p.y, ResultOf(step, 0));
  draft.p.lrn = step.As<LrnParams>(), draft.p.elements = x.elements, draft.p.channels = x.dims[x.rank - 1],
  draft.p.by_channels = DivideBy(draft.p.channels);
  AddThreads(KernelId::lrn_f32, KernelId::lrn_f16, draft, x.elements);
}

void Lowering::LowerCopy(const PlanStep& step) {
  const auto& c = step.As<CopyParams>();
  const Place y = ResultOf(step, 0);
  if (c.fill) {
    Draft<FillParams> fill;
    fill.Put(&fill.p.y, y);
    fill.p.value = c.value;
    AddThreads(KernelId::fill_f32, KernelId::fill_f16, fill, y.elements);
  }
  Draft<CopyKernelParams> draft;
  CopyKernelParams& p = draft.p;
  draft.Put(&p.x, Of(step.inputs[0]));
  draft.Put(&p.y, y);
  p.in_offset = c.in_offset, p.out_offset = c.out_offset, p.elements = 1;
  for (uint32_t i = 0; i < 5; ++i) {
    p.in_stride[i] = c.in_stride[4 - i], p.out_stride[i] = c.out_stride[4 - i];
    p.elements *= c.size[i];
    if (i < 4) p.dims[i] = DivideBy(c.size[4 - i]);
  }
  AddThreads(KernelId::copy_f32, KernelId::copy_f16, draft, p.elements);
}

// A launch takes up to four inputs and four outputs. Most concatenations need one launch.
void Lowering::LowerConcat(const PlanStep& step) {
  const auto& c = step.As<ConcatParams>();
  const auto row_of = [&](uint32_t id) { return plan_.tensors[id].elements / c.outer; };
  const auto window = [&](const std::vector<uint32_t>& ids, size_t from, uint32_t first,
                          Draft<ConcatKernelParams>* draft, Buffer* buffers, uint32_t (&places)[kConcatTensors + 1]) {
    places[0] = first;
    for (uint32_t i = 0; i < kConcatTensors; ++i) {
      const bool is_there = from + i < ids.size();
      places[i + 1] = places[i] + (is_there ? row_of(ids[from + i]) : 0);
      if (is_there) draft->Put(&buffers[i], Of(ids[from + i]));
    }
  };
  uint32_t length = 0;
  for (uint32_t id : step.inputs) length += row_of(id);
  uint32_t in_first = 0;
  for (size_t i = 0; i < step.inputs.size(); i += kConcatTensors) {
    uint32_t out_first = 0, in_end = 0;
    for (size_t o = 0; o < step.outputs.size(); o += kConcatTensors) {
      Draft<ConcatKernelParams> draft;
      ConcatKernelParams& p = draft.p;
      window(step.inputs, i, in_first, &draft, p.inputs, p.in_first);
      window(step.outputs, o, out_first, &draft, p.outputs, p.out_first);
      in_end = p.in_first[kConcatTensors], out_first = p.out_first[kConcatTensors];
      const uint32_t span = in_end - in_first;
      p.groups = c.groups, p.elements = c.outer * span, p.by_span = DivideBy(span),
      p.by_group_length = DivideBy(length / c.groups);
      AddThreads(KernelId::concat_f32, KernelId::concat_f16, draft, p.elements);
    }
    in_first = in_end;
  }
}

void Lowering::LowerResample(const PlanStep& step) {
  const auto& c = step.As<ResampleParams>();
  const PlanTensor& weights = *InputOf(step, 2);
  Draft<ResampleKernelParams> draft;
  ResampleKernelParams& p = draft.p;
  draft.Put(&p.x, Of(step.inputs[0]));
  draft.Put(&p.indices, PackIndices(*InputOf(step, 1)));
  draft.Put(&p.weights, PackFloats(weights.elements, [&](uint32_t i) { return ValueAt(weights, i); }));
  draft.Put(&p.y, ResultOf(step, 0));
  p.in_length = c.in_length, p.out_length = c.out_length, p.taps = c.taps, p.inner = c.inner, p.elements = p.y.elements;
  p.by_inner = DivideBy(c.inner), p.by_out_length = DivideBy(c.out_length);
  AddThreads(KernelId::resample_f32, KernelId::resample_f16, draft, p.elements);
}

}  // namespace cuda
}  // namespace gapcam
