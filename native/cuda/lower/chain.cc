// A chain is what the CPU computes strip by strip so that the tensors between its convolutions stay in the cache. Here each
// part is a launch, and those tensors are scratch: at batch 1 they stay in the GPU's second-level cache anyway.
#include "lowering.h"

namespace gapcam {
namespace cuda {
namespace {

uint32_t OutSize(uint32_t size, uint32_t pads, uint32_t kernel, uint32_t stride, uint32_t dilation) { return (size + pads - (kernel - 1) * dilation - 1) / stride + 1; }

}  // namespace

Status Lowering::LowerChain(const PlanStep& step) {
  const auto& c = step.As<ChainParams>();
  const PlanTensor &x = *InputOf(step, 0), &y = *TensorOf(step.outputs[0]);
  const PlanTensor *expand = InputOf(step, 3), *project = InputOf(step, 5);
  const Place residual = Of(step.inputs, 7), result = Of(step.outputs[0]), pooled = Of(step.outputs, 1);
  ConvSpec at;  // grows along the chain: its x is what the next part reads
  at.batch = x.dims[0], at.height = x.dims[1], at.width = x.dims[2], at.channels = x.dims[3], at.x = Of(step.inputs[0]);
  if (expand) {
    ConvSpec spec = at;
    spec.window = {c.expand_kernel_h, c.expand_kernel_w, c.expand_stride_h, c.expand_stride_w, c.expand_pad_top, c.expand_pad_left, c.expand_pad_bottom, c.expand_pad_right,
                   c.expand_dilation_h, c.expand_dilation_w};
    spec.activation = {c.expand_activation, c.expand_a, c.expand_b};
    spec.weights = expand, spec.bias = InputOf(step, 4), spec.features = expand->dims[0];
    spec.out_height = OutSize(at.height, c.expand_pad_top + c.expand_pad_bottom, c.expand_kernel_h, c.expand_stride_h, c.expand_dilation_h);
    spec.out_width = OutSize(at.width, c.expand_pad_left + c.expand_pad_right, c.expand_kernel_w, c.expand_stride_w, c.expand_dilation_w);
    spec.y = ScratchLike(uint64_t{spec.pixels()} * spec.features);
    const Status status = Convolve(spec);
    if (!status.ok()) return status;
    at.height = spec.out_height, at.width = spec.out_width, at.channels = spec.features, at.x = spec.y;
  }
  const uint32_t out_height = y.dims[1], out_width = y.dims[2];
  const Place window_result = project ? ScratchLike(uint64_t{at.batch} * out_height * out_width * at.channels) : result;
  const Place window_residual = project ? Place() : residual;
  const WindowParams window = {c.kernel_h, c.kernel_w, c.stride_h, c.stride_w, c.pad_top, c.pad_left, c.pad_bottom, c.pad_right, c.dilation_h, c.dilation_w};
  if (c.op == WindowOp::kMax) {
    PoolParams sizes = {};
    sizes.window = window, sizes.op = Pool::kMax, sizes.height = at.height, sizes.width = at.width, sizes.channels = at.channels;
    sizes.out_height = out_height, sizes.out_width = out_width;
    AddPool(sizes, at.batch, at.x, window_residual, window_result);
    if (pooled) Mean(window_result, pooled, at.batch, out_height * out_width, at.channels);
  } else {
    ConvSpec spec = at;
    spec.window = window, spec.activation = {c.activation, c.a, c.b}, spec.weights = InputOf(step, 1), spec.bias = InputOf(step, 2);
    spec.groups = spec.features = at.channels, spec.out_height = out_height, spec.out_width = out_width;
    spec.residual = window_residual, spec.y = window_result, spec.pooled = pooled;
    const Status status = Convolve(spec);
    if (!status.ok()) return status;
  }
  if (!project) return Status::Ok();
  ConvSpec spec = at;
  spec.height = spec.out_height = out_height, spec.width = spec.out_width = out_width;
  spec.activation = {c.project_activation, c.project_a, c.project_b};
  spec.weights = project, spec.bias = InputOf(step, 6), spec.features = project->dims[0];
  spec.x = window_result, spec.residual = residual, spec.y = result;
  return Convolve(spec);
}

}  // namespace cuda
}  // namespace gapcam
