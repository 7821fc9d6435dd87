// Random cases of conv2d, chain and pool2d.
#include "draw.h"

namespace gapcam_test {

using gapcam::StepKind;

namespace {

// The outputs of a pooling window along one axis. With ceil_mode, one more where its window still touches the picture.
uint32_t PoolOutputs(Random& random, uint32_t size, uint32_t before, uint32_t after, uint32_t reach, uint32_t stride) {
  const uint32_t floor = OutSize(size, before + after, reach, stride);
  return random.Chance(40) && floor * stride < size + before && floor * stride >= before ? floor + 1 : floor;
}

// Spreads the taps of a window so far that most of them lie over padding, as in DeepLab's pyramid.
void SpreadWindow(Random& random, gapcam::Conv2dParams* p) {
  p->dilation_h = random.Between(2, 13);
  p->dilation_w = random.Chance(70) ? p->dilation_h : random.Between(1, 13);
  p->pad_top = p->kernel_h / 2 * p->dilation_h;
  p->pad_left = p->kernel_w / 2 * p->dilation_w;
  p->pad_bottom = random.Chance(70) ? p->pad_top : random.Between(0, p->pad_top);
  p->pad_right = random.Chance(70) ? p->pad_left : random.Between(0, p->pad_left);
}

}  // namespace

Case DrawConv(Random& random) {
  gapcam::Conv2dParams p = {};
  SetWindow(random, &p);
  if (random.Chance(15)) SpreadWindow(random, &p);
  SetActivation(random, &p);
  const uint32_t style = random.Between(0, 9);  // 0-5 one group, 6-8 depthwise, 9 several groups
  uint32_t channels, features;
  if (style <= 5) {
    p.groups = 1;
    channels = random.Among({1, 3, 4, 7, 8, 16, 17, 33, 40});
    features = random.Among({1, 5, 8, 10, 16, 24, 31, 32, 33, 48, 65});
  } else if (style <= 8) {
    p.groups = channels = features = random.Among({1, 2, 7, 8, 15, 16, 24, 33, 48, 70});
  } else {
    p.groups = random.Among({2, 3, 4, 8});
    channels = p.groups * random.Between(1, 9);
    features = p.groups * random.Between(1, 18);
  }
  const uint32_t height = DrawSide(random, Reach(p.kernel_h, p.dilation_h), p.pad_top + p.pad_bottom);
  const uint32_t width = DrawSide(random, Reach(p.kernel_w, p.dilation_w), p.pad_left + p.pad_right);
  const uint32_t batch = random.Chance(85) ? 1 : 2;
  const uint32_t out_h = OutSize(height, p.pad_top + p.pad_bottom, Reach(p.kernel_h, p.dilation_h), p.stride_h);
  const uint32_t out_w = OutSize(width, p.pad_left + p.pad_right, Reach(p.kernel_w, p.dilation_w), p.stride_w);
  Case c = {StepKind::kConv2d, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {batch, height, width, channels}));
  c.inputs.push_back(Draw(random, {features, channels / p.groups, p.kernel_h, p.kernel_w}, true));
  c.inputs.push_back(random.Chance(75) ? Draw(random, {features}, true) : Operand());
  const PlanBuilder::Shape out = {batch, out_h, out_w, features};
  c.inputs.push_back(random.Chance(30) ? Draw(random, out) : Operand());
  const uint32_t which = random.Between(0, 9);  // 0-5 y, 6-7 both, 8-9 pooled
  c.outputs.push_back(which < 8 ? Result(out) : Operand());
  c.outputs.push_back(which >= 6 ? Result({batch, 1, 1, features}) : Operand());
  return c;
}

Case DrawChain(Random& random) {
  gapcam::ChainParams p = {};
  SetWindow(random, &p);
  SetActivation(random, &p);
  p.op = random.Chance(75) ? gapcam::WindowOp::kDepthwise : gapcam::WindowOp::kMax;
  const bool is_max = p.op == gapcam::WindowOp::kMax;
  if (is_max) p.activation = gapcam::Elementwise::kNone, p.dilation_h = p.dilation_w = 1;
  p.expand_activation = random.Chance(50) ? gapcam::Elementwise::kRelu : gapcam::Elementwise::kHardSwish;
  p.project_activation = random.Chance(70) ? gapcam::Elementwise::kNone : gapcam::Elementwise::kRelu;
  const bool has_expand = random.Chance(70), has_project = random.Chance(60);
  const uint32_t middle = random.Among({1, 7, 16, 24, 33, 48, 70});
  const uint32_t channels = has_expand ? random.Among({1, 3, 8, 17, 24}) : middle,
                 features = has_project ? random.Among({1, 5, 16, 24, 33, 40}) : middle;
  const uint32_t batch = random.Chance(85) ? 1 : 2;
  gapcam::Conv2dParams e = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, gapcam::Elementwise::kNone, 0, 0};
  if (has_expand && random.Chance(40)) SetWindow(random, &e);
  p.expand_kernel_h = e.kernel_h, p.expand_kernel_w = e.kernel_w, p.expand_stride_h = e.stride_h,
  p.expand_stride_w = e.stride_w;
  p.expand_pad_top = e.pad_top, p.expand_pad_left = e.pad_left, p.expand_pad_bottom = e.pad_bottom,
  p.expand_pad_right = e.pad_right;
  p.expand_dilation_h = e.dilation_h, p.expand_dilation_w = e.dilation_w;
  // The input size from which the expansion makes `side` pixels.
  const auto before = [](uint32_t side, uint32_t reach, uint32_t stride, uint32_t pads) {
    const uint32_t needed = (side - 1) * stride + reach;
    return needed > pads ? needed - pads : 1;
  };
  const uint32_t height = before(DrawSide(random, Reach(p.kernel_h, p.dilation_h), p.pad_top + p.pad_bottom),
                                 Reach(e.kernel_h, e.dilation_h), e.stride_h, e.pad_top + e.pad_bottom);
  const uint32_t width = before(DrawSide(random, Reach(p.kernel_w, p.dilation_w), p.pad_left + p.pad_right),
                                Reach(e.kernel_w, e.dilation_w), e.stride_w, e.pad_left + e.pad_right);
  const uint32_t middle_h = OutSize(height, e.pad_top + e.pad_bottom, Reach(e.kernel_h, e.dilation_h), e.stride_h);
  const uint32_t middle_w = OutSize(width, e.pad_left + e.pad_right, Reach(e.kernel_w, e.dilation_w), e.stride_w);
  const uint32_t out_h = is_max
                             ? PoolOutputs(random, middle_h, p.pad_top, p.pad_bottom, p.kernel_h, p.stride_h)
                             : OutSize(middle_h, p.pad_top + p.pad_bottom, Reach(p.kernel_h, p.dilation_h), p.stride_h);
  const uint32_t out_w = is_max
                             ? PoolOutputs(random, middle_w, p.pad_left, p.pad_right, p.kernel_w, p.stride_w)
                             : OutSize(middle_w, p.pad_left + p.pad_right, Reach(p.kernel_w, p.dilation_w), p.stride_w);
  Case c = {StepKind::kChain, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {batch, height, width, channels}));
  c.inputs.push_back(is_max ? Operand() : Draw(random, {middle, 1, p.kernel_h, p.kernel_w}, true));
  c.inputs.push_back(!is_max && random.Chance(75) ? Draw(random, {middle}, true) : Operand());
  c.inputs.push_back(has_expand ? Draw(random, {middle, channels, e.kernel_h, e.kernel_w}, true) : Operand());
  c.inputs.push_back(has_expand && random.Chance(75) ? Draw(random, {middle}, true) : Operand());
  c.inputs.push_back(has_project ? Draw(random, {features, middle, 1, 1}, true) : Operand());
  c.inputs.push_back(has_project && random.Chance(75) ? Draw(random, {features}, true) : Operand());
  const PlanBuilder::Shape out = {batch, out_h, out_w, features};
  c.inputs.push_back(random.Chance(30) ? Draw(random, out) : Operand());
  c.outputs.push_back(Result(out));
  c.outputs.push_back(!has_project && random.Chance(50) ? Result({batch, 1, 1, features}) : Operand());
  return c;
}

Case DrawPool(Random& random) {
  gapcam::Pool2dParams p = {};
  SetWindow(random, &p);
  // With a larger dilation all positions of a window could fall on pads, and a maximum would have no operand.
  p.dilation_h = p.dilation_w = random.Chance(85) ? 1 : 2;
  p.op = random.Chance(50) ? gapcam::Pool::kMax : gapcam::Pool::kAverage;
  p.count_padding = random.Between(0, 1);
  const uint32_t reach_h = Reach(p.kernel_h, p.dilation_h), reach_w = Reach(p.kernel_w, p.dilation_w);
  const uint32_t height = 2 + DrawSide(random, reach_h, 0), width = 2 + DrawSide(random, reach_w, 0);
  const uint32_t channels = random.Among({1, 3, 7, 8, 16, 17, 33, 70}), batch = random.Between(1, 2);
  Case c = {StepKind::kPool2d, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {batch, height, width, channels}));
  c.outputs.push_back(Result({batch, PoolOutputs(random, height, p.pad_top, p.pad_bottom, reach_h, p.stride_h),
                              PoolOutputs(random, width, p.pad_left, p.pad_right, reach_w, p.stride_w), channels}));
  return c;
}

}  // namespace gapcam_test
