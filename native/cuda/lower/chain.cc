// Lowers a chain. The CPU computes a chain strip by strip, to keep the tensors between its convolutions in the cache.
// On the GPU each part is one launch, with scratch memory between them: at batch 1 most of it stays in the second-level
// cache. If the shapes allow it, the depthwise window is computed inside the projection's kernel instead.
#include "lowering.h"

namespace gapcam {
namespace cuda {

Status Lowering::LowerChain(const PlanStep& step) {
  const auto& c = step.As<ChainParams>();
  const PlanTensor &x = *InputOf(step, 0), &y = *TensorOf(step.outputs[0]);
  const PlanTensor *expand = InputOf(step, 3), *project = InputOf(step, 5);
  const Place residual = Of(step.inputs, 7), result = ResultOf(step, 0), pooled = ResultOf(step, 1);
  ConvSpec at;  // the picture that the next part of the chain reads
  at.batch = x.dims[0], at.height = x.dims[1], at.width = x.dims[2], at.channels = x.dims[3], at.x = Of(step.inputs[0]);
  if (expand) {
    ConvSpec spec = at;
    spec.SetWindow({c.expand_kernel_h, c.expand_kernel_w, c.expand_stride_h, c.expand_stride_w, c.expand_pad_top,
                    c.expand_pad_left, c.expand_pad_bottom, c.expand_pad_right, c.expand_dilation_h,
                    c.expand_dilation_w});
    spec.activation = {c.expand_activation, c.expand_a, c.expand_b};
    spec.weights = expand, spec.bias = InputOf(step, 4), spec.features = expand->dims[0];
    spec.y = ScratchLike(uint64_t{spec.pixels()} * spec.features);
    const Status status = Convolve(spec);
    if (!status.ok()) return status;
    at.height = spec.out_height, at.width = spec.out_width, at.channels = spec.features, at.x = spec.y;
  }
  at.out_height = y.dims[1], at.out_width = y.dims[2];
  ConvSpec window = at, last = at;
  window.window = {c.kernel_h, c.kernel_w,   c.stride_h,  c.stride_w,   c.pad_top,
                   c.pad_left, c.pad_bottom, c.pad_right, c.dilation_h, c.dilation_w};
  window.activation = {c.activation, c.a, c.b}, window.weights = InputOf(step, 1), window.bias = InputOf(step, 2);
  window.groups = window.features = at.channels, window.pooled = pooled;
  if (project) {
    last.height = at.out_height, last.width = at.out_width;
    last.activation = {c.project_activation, c.project_a, c.project_b};
    last.weights = project, last.bias = InputOf(step, 6), last.features = project->dims[0];
    last.residual = residual, last.y = result;
    if (c.op == WindowOp::kDepthwise && MayJoin(window, last)) {
      last.before = &window;
      return Multiply(last);
    }
    last.x = window.y = ScratchLike(uint64_t{window.pixels()} * at.channels);
  } else {
    window.residual = residual, window.y = result;
  }
  const Status status = c.op == WindowOp::kMax ? Maximum(window) : Convolve(window);
  return status.ok() && project ? Convolve(last) : status;
}

Status Lowering::Maximum(const ConvSpec& spec) {
  AddPool(spec, Pool::kMax, 0);
  if (spec.pooled) Mean(spec.y, spec.pooled, spec.batch, spec.out_height * spec.out_width, spec.channels);
  return Status::Ok();
}

}  // namespace cuda
}  // namespace gapcam
