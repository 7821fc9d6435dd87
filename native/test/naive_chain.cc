// Naive solution of chain: each of its parts is solved as a case of a simpler step.
#include "naive.h"

namespace gapcam_test {
namespace {

using gapcam::StepKind;

Operand AsOperand(const PlanBuilder::Shape& shape, const Answer& answer) {
  return {shape, std::vector<float>(answer.values.begin(), answer.values.end()), {}, false};
}

// The maximum over each window of another step's result, plus a residual, and its mean over height and width.
std::vector<Answer> SolveMax(const gapcam::ChainParams& p, const PlanBuilder::Shape& in, const Answer& x,
                             const PlanBuilder::Shape& out, const Operand& residual) {
  Case c = {StepKind::kPool2d, {}, {}, {}};
  c.Set(gapcam::Pool2dParams{gapcam::Pool::kMax, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_top, p.pad_left,
                             p.pad_bottom, p.pad_right, p.dilation_h, p.dilation_w, 0});
  c.outputs = {Operand{out, {}, {}, false}};
  c.inputs = {AsOperand(in, {x.magnitudes, x.magnitudes})};
  const Answer sizes = Solve(c)[0];
  c.inputs = {AsOperand(in, x)};
  const size_t means = size_t{out[0]} * out[3];
  Answer y = Solve(c)[0], mean = {std::vector<double>(means, 0), std::vector<double>(means, 0)};
  const size_t area = size_t{out[1]} * out[2];
  for (size_t i = 0; i < y.values.size(); ++i) {
    if (residual.present()) y.values[i] += residual.values[i], y.magnitudes[i] += std::fabs(residual.values[i]);
    y.magnitudes[i] += sizes.values[i];
    const size_t to = i / (area * out[3]) * out[3] + i % out[3];
    mean.values[to] += y.values[i] / static_cast<double>(area);
    mean.magnitudes[to] += y.magnitudes[i] / static_cast<double>(area);
  }
  return {y, mean};
}

// A convolution of another step's result. The magnitudes of that result count towards those of this one.
std::vector<Answer> ConvolveAnswer(const gapcam::Conv2dParams& p, const PlanBuilder::Shape& shape, const Answer& x,
                                   const Operand& w, const Operand& bias, const Operand& residual) {
  Case c = {StepKind::kConv2d, {}, {}, {}};
  c.Set(p);
  c.inputs = {AsOperand(shape, x), w, bias, residual};
  std::vector<Answer> result = Solve(c);
  gapcam::Conv2dParams plain = p;
  plain.activation = gapcam::Elementwise::kNone;
  c.Set(plain);
  c.inputs = {AsOperand(shape, {x.magnitudes, x.magnitudes}), w, Operand(), Operand()};
  for (float& value : c.inputs[1].values) value = std::fabs(value);
  const std::vector<Answer> carried = Solve(c);
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < result[i].magnitudes.size(); ++j) result[i].magnitudes[j] += carried[i].values[j];
  }
  return result;
}

}  // namespace

std::vector<Answer> SolveChain(const Case& c) {
  const auto& p = c.As<gapcam::ChainParams>();
  const Operand &w = c.inputs[1], &expand = c.inputs[3], &project = c.inputs[5], &residual = c.inputs[7];
  const PlanBuilder::Shape& out = c.outputs[0].shape;
  PlanBuilder::Shape shape = c.inputs[0].shape;
  Answer x = {std::vector<double>(c.inputs[0].values.begin(), c.inputs[0].values.end()),
              std::vector<double>(c.inputs[0].values.size(), 0)};
  if (expand.present()) {
    const gapcam::Conv2dParams before = {p.expand_kernel_h,
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
    x = ConvolveAnswer(before, shape, x, expand, c.inputs[4], Operand())[0];
    const auto after = [](uint32_t size, uint32_t pads, uint32_t kernel, uint32_t stride, uint32_t dilation) {
      return (size + pads - (kernel - 1) * dilation - 1) / stride + 1;
    };
    shape = {shape[0],
             after(shape[1], p.expand_pad_top + p.expand_pad_bottom, p.expand_kernel_h, p.expand_stride_h,
                   p.expand_dilation_h),
             after(shape[2], p.expand_pad_left + p.expand_pad_right, p.expand_kernel_w, p.expand_stride_w,
                   p.expand_dilation_w),
             expand.shape[0]};
  }
  const uint32_t middle = shape[3];
  const Operand added = project.present() ? Operand() : residual;
  std::vector<Answer> rows;
  if (p.op == gapcam::WindowOp::kMax) {
    rows = SolveMax(p, shape, x, {out[0], out[1], out[2], middle}, added);
  } else {
    const gapcam::Conv2dParams depthwise = {p.kernel_h, p.kernel_w,   p.stride_h,  p.stride_w,   p.pad_top,
                                            p.pad_left, p.pad_bottom, p.pad_right, p.dilation_h, p.dilation_w,
                                            middle,     p.activation, p.a,         p.b};
    rows = ConvolveAnswer(depthwise, shape, x, w, c.inputs[2], added);
  }
  if (!project.present()) return rows;
  const gapcam::Conv2dParams after = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, p.project_activation, p.project_a, p.project_b};
  return {ConvolveAnswer(after, {out[0], out[1], out[2], middle}, rows[0], project, c.inputs[6], residual)[0],
          Answer()};
}

}  // namespace gapcam_test
