#include "cases.h"

namespace gapcam_test {

using gapcam::StepKind;

namespace {

Operand Draw(Random& random, const PlanBuilder::Shape& shape, bool is_constant = false, float scale = 1,
             float offset = 0) {
  return {shape, random.Floats(ElementsOf(shape), scale, offset), {}, is_constant};
}

Operand Result(const PlanBuilder::Shape& shape) { return {shape, {}, {}, false}; }

struct DrawnActivation {
  gapcam::Elementwise op;
  float a, b;
};

// The same function with parameters that models have.
DrawnActivation WithParameters(gapcam::Elementwise op, Random& random) {
  using E = gapcam::Elementwise;
  switch (op) {
    case E::kClip: return random.Chance(50) ? DrawnActivation{op, 0, 6} : DrawnActivation{op, -0.5f, 0.25f};
    case E::kLeakyRelu: return {op, 0.1f, 0};
    case E::kHardSigmoid: return {op, 0.2f, 0.5f};
    case E::kElu: return {op, 1, 0};
    default: return {op, 0, 0};
  }
}

// None, or an activation that a graph pass fuses. The first two of the table (Relu and Clip) are the most common.
DrawnActivation DrawActivation(Random& random) {
  constexpr uint32_t kCount = sizeof(gapcam::kFusibleActivations) / sizeof(gapcam::kFusibleActivations[0]);
  const uint32_t at = random.Chance(60) ? random.Between(0, 2) : random.Between(0, kCount);
  return at == 0 ? DrawnActivation{gapcam::Elementwise::kNone, 0, 0}
                 : WithParameters(gapcam::kFusibleActivations[at - 1], random);
}

template <typename P>
void SetActivation(Random& random, P* p) {
  const DrawnActivation act = DrawActivation(random);
  p->activation = act.op;
  p->a = act.a;
  p->b = act.b;
}

// Kernel, stride, dilation and pads of a window. Pads stay below the dilated kernel.
template <typename P>
void SetWindow(Random& random, P* p) {
  const bool is_square = random.Chance(70);
  p->kernel_h = random.Among({1, 1, 2, 3, 3, 3, 5, 7});
  p->kernel_w = is_square ? p->kernel_h : random.Between(1, 7);
  p->stride_h = random.Among({1, 1, 1, 2, 2, 3});
  p->stride_w = is_square ? p->stride_h : random.Between(1, 3);
  p->dilation_h = random.Chance(80) ? 1 : random.Between(2, 3);
  p->dilation_w = random.Chance(80) ? 1 : random.Between(2, 3);
  if (random.Chance(30)) {
    p->pad_top = p->pad_left = p->pad_bottom = p->pad_right = 0;
  } else if (random.Chance(50)) {
    p->pad_top = p->pad_bottom = (p->kernel_h - 1) / 2;
    p->pad_left = p->pad_right = (p->kernel_w - 1) / 2;
  } else {
    p->pad_top = random.Between(0, p->kernel_h - 1);
    p->pad_bottom = random.Between(0, p->kernel_h - 1);
    p->pad_left = random.Between(0, p->kernel_w - 1);
    p->pad_right = random.Between(0, p->kernel_w - 1);
  }
}

uint32_t Reach(uint32_t kernel, uint32_t dilation) { return (kernel - 1) * dilation + 1; }

// A picture's size that a window fits into: small ones often, so that borders are met on all sides at once.
uint32_t DrawSide(Random& random, uint32_t reach, uint32_t pads) {
  const uint32_t least = reach > pads ? reach - pads : 1;
  return least + (random.Chance(70) ? random.Between(0, 9) : random.Between(0, 30));
}

Case DrawConv(Random& random) {
  gapcam::Conv2dParams p = {};
  SetWindow(random, &p);
  SetActivation(random, &p);
  const uint32_t style = random.Between(0, 9);  // 0-5 dense, 6-8 depthwise, 9 grouped
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
  const uint32_t out_h = (height + p.pad_top + p.pad_bottom - Reach(p.kernel_h, p.dilation_h)) / p.stride_h + 1;
  const uint32_t out_w = (width + p.pad_left + p.pad_right - Reach(p.kernel_w, p.dilation_w)) / p.stride_w + 1;
  Case c = {StepKind::kConv2d, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {batch, height, width, channels}));
  c.inputs.push_back(Draw(random, {features, channels / p.groups, p.kernel_h, p.kernel_w}, true));
  c.inputs.push_back(random.Chance(75) ? Draw(random, {features}, true) : Operand());
  const PlanBuilder::Shape out = {batch, out_h, out_w, features};
  c.inputs.push_back(random.Chance(30) ? Draw(random, out) : Operand());
  const uint32_t which = random.Between(0, 9);  // y alone mostly, then both, then pooled alone
  c.outputs.push_back(which < 8 ? Result(out) : Operand());
  c.outputs.push_back(which >= 6 ? Result({batch, 1, 1, features}) : Operand());
  return c;
}

// Outputs along one axis: as many as fit, or with ceil_mode one more where its window still touches the picture.
uint32_t PoolOutputs(Random& random, uint32_t size, uint32_t before, uint32_t after, uint32_t reach, uint32_t stride) {
  const uint32_t floor = (size + before + after - reach) / stride + 1;
  return random.Chance(40) && floor * stride < size + before && floor * stride >= before ? floor + 1 : floor;
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
  // The input that gives a picture of `side` before the window.
  const auto before = [](uint32_t side, uint32_t reach, uint32_t stride, uint32_t pads) {
    const uint32_t needed = (side - 1) * stride + reach;
    return needed > pads ? needed - pads : 1;
  };
  const auto after = [](uint32_t size, uint32_t reach, uint32_t stride, uint32_t pads) {
    return (size + pads - reach) / stride + 1;
  };
  const uint32_t height = before(DrawSide(random, Reach(p.kernel_h, p.dilation_h), p.pad_top + p.pad_bottom),
                                 Reach(e.kernel_h, e.dilation_h), e.stride_h, e.pad_top + e.pad_bottom);
  const uint32_t width = before(DrawSide(random, Reach(p.kernel_w, p.dilation_w), p.pad_left + p.pad_right),
                                Reach(e.kernel_w, e.dilation_w), e.stride_w, e.pad_left + e.pad_right);
  const uint32_t middle_h = after(height, Reach(e.kernel_h, e.dilation_h), e.stride_h, e.pad_top + e.pad_bottom);
  const uint32_t middle_w = after(width, Reach(e.kernel_w, e.dilation_w), e.stride_w, e.pad_left + e.pad_right);
  const uint32_t out_h = is_max
                             ? PoolOutputs(random, middle_h, p.pad_top, p.pad_bottom, p.kernel_h, p.stride_h)
                             : after(middle_h, Reach(p.kernel_h, p.dilation_h), p.stride_h, p.pad_top + p.pad_bottom);
  const uint32_t out_w = is_max
                             ? PoolOutputs(random, middle_w, p.pad_left, p.pad_right, p.kernel_w, p.stride_w)
                             : after(middle_w, Reach(p.kernel_w, p.dilation_w), p.stride_w, p.pad_left + p.pad_right);
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

Case DrawDense(Random& random) {
  gapcam::DenseParams p = {};
  p.transposed = random.Between(0, 1);
  SetActivation(random, &p);
  const uint32_t rows = random.Among({1, 1, 1, 2, 5, 13, 50, 131}), depth = random.Between(1, 90),
                 columns = random.Between(1, 100);
  Case c = {StepKind::kDense, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {rows, depth}));
  c.inputs.push_back(
      Draw(random, p.transposed ? PlanBuilder::Shape{columns, depth} : PlanBuilder::Shape{depth, columns}, true));
  c.inputs.push_back(random.Chance(70) ? Draw(random, {columns}, true) : Operand());
  c.inputs.push_back(random.Chance(30) ? Draw(random, {rows, columns}) : Operand());
  c.outputs.push_back(Result({rows, columns}));
  return c;
}

Case DrawProduct(Random& random) {
  gapcam::ProductParams p = {};
  p.batches = random.Among({1, 1, 2, 3, 8});
  p.rows = random.Among({1, 1, 2, 5, 13, 50, 131});
  p.depth = random.Between(1, 70);
  p.columns = random.Between(1, 100);
  SetActivation(random, &p);
  Case c = {StepKind::kProduct, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {random.Chance(80) ? p.batches : 1, p.rows, p.depth}));
  c.inputs.push_back(Draw(random, {random.Chance(80) ? p.batches : 1, p.depth, p.columns}));
  c.outputs.push_back(Result({p.batches, p.rows, p.columns}));
  return c;
}

Case DrawPool(Random& random) {
  gapcam::Pool2dParams p = {};
  SetWindow(random, &p);
  // Every position of a window may fall between two pads only where a dilated kernel skips the picture.
  p.dilation_h = p.dilation_w = random.Chance(85) ? 1 : 2;
  p.op = random.Chance(50) ? gapcam::Pool::kMax : gapcam::Pool::kAverage;
  p.count_padding = random.Between(0, 1);
  const uint32_t reach_h = Reach(p.kernel_h, p.dilation_h), reach_w = Reach(p.kernel_w, p.dilation_w);
  const uint32_t height = 2 + DrawSide(random, reach_h, 0), width = 2 + DrawSide(random, reach_w, 0);
  const uint32_t channels = random.Among({1, 3, 7, 8, 16, 17, 33}), batch = random.Between(1, 2);
  Case c = {StepKind::kPool2d, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {batch, height, width, channels}));
  c.outputs.push_back(Result({batch, PoolOutputs(random, height, p.pad_top, p.pad_bottom, reach_h, p.stride_h),
                              PoolOutputs(random, width, p.pad_left, p.pad_right, reach_w, p.stride_w), channels}));
  return c;
}

struct Span {
  uint32_t outer, length, inner;
};

Span DrawSpan(Random& random) {
  return {random.Between(1, 5), random.Between(1, 70), random.Chance(40) ? 1 : random.Between(1, 40)};
}

Case DrawReduce(Random& random) {
  const Span s = DrawSpan(random);
  gapcam::ReduceParams p = {static_cast<gapcam::Reduce>(random.Between(0, gapcam::kReduceCount - 1)), s.outer, s.length,
                            s.inner};
  Case c = {StepKind::kReduce, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {s.outer, s.length, s.inner}));
  c.outputs.push_back(Result({s.outer, 1, s.inner}));
  return c;
}

Case DrawElementwise(Random& random) {
  gapcam::ElementwiseParams p = {static_cast<gapcam::Elementwise>(random.Between(0, gapcam::kElementwiseCount - 1)),
                                 random.Float(), 0};
  p.b = p.a + 0.5f;
  const uint32_t count = random.Chance(80) ? random.Between(1, 90) : random.Between(16000, 40000);
  const bool is_positive = p.activation == gapcam::Elementwise::kLog || p.activation == gapcam::Elementwise::kSqrt ||
                           p.activation == gapcam::Elementwise::kPower;
  Case c = {StepKind::kElementwise, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {count}, false, 8, is_positive ? 8.01f : 0));
  c.outputs.push_back(Result({count}));
  c.is_in_place = random.Chance(40);
  return c;
}

Case DrawBinary(Random& random) {
  gapcam::BinaryParams p = {};
  p.op = static_cast<gapcam::Binary>(random.Between(0, gapcam::kBinaryCount - 1));
  if (random.Chance(50)) SetActivation(random, &p);
  PlanBuilder::Shape out(random.Between(1, 5));
  for (uint32_t& size : out) size = random.Among({1, 2, 3, 5, 8, 9, 17});
  Case c = {StepKind::kBinary, {}, {}, {}};
  c.Set(p);
  for (uint32_t operand = 0; operand < 2; ++operand) {
    PlanBuilder::Shape shape = out;
    if (random.Chance(60)) {
      for (uint32_t& size : shape) size = random.Chance(40) ? 1 : size;
      if (random.Chance(40))
        shape.erase(shape.begin(), shape.begin() + random.Between(0, static_cast<uint32_t>(shape.size()) - 1));
    }
    // Divisors and bases stay away from zero, where the result has no error bound.
    const bool is_positive =
        (p.op == gapcam::Binary::kDiv && operand == 1) || (p.op == gapcam::Binary::kPow && operand == 0);
    c.inputs.push_back(Draw(random, shape, operand == 1 && random.Chance(50), 1, is_positive ? 1.5f : 0));
  }
  c.outputs.push_back(Result(out));
  c.is_in_place = c.inputs[0].shape == out && random.Chance(40);
  return c;
}

template <typename P>
Case DrawAlongSpan(Random& random, StepKind kind, uint32_t first_word, float scale) {
  const Span s = DrawSpan(random);
  const P p = {first_word, s.outer, s.length, s.inner};
  Case c = {kind, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, {s.outer, s.length, s.inner}, false, scale));
  c.outputs.push_back(Result({s.outer, s.length, s.inner}));
  return c;
}

Case DrawLrn(Random& random) {
  const gapcam::LrnParams p = {random.Between(1, 7), 0.5f + random.Float() * 0.4f, 0.75f, 1.0f + random.Float() * 0.5f};
  const PlanBuilder::Shape shape = {random.Between(1, 2), random.Between(1, 5), random.Between(1, 5),
                                    random.Between(1, 20)};
  Case c = {StepKind::kLrn, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, shape, false, 3));
  c.outputs.push_back(Result(shape));
  return c;
}

// A transposed, sliced, reversed or expanded picture, placed inside a larger filled one or filling its output.
Case DrawCopy(Random& random) {
  gapcam::CopyParams p = {};
  PlanBuilder::Shape in(5), loops(5), out(5);
  uint32_t order[5] = {0, 1, 2, 3, 4};
  for (uint32_t i = 4; i > 0; --i) {
    const uint32_t j = random.Between(0, i), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  if (random.Chance(40))
    for (uint32_t i = 0; i < 5; ++i) order[i] = i;
  p.fill = random.Between(0, 1);
  p.value = random.Float();
  for (uint32_t& size : in) size = random.Among({1, 1, 2, 3, 5, 18});
  int64_t in_strides[5], stride = 1;
  for (int i = 4; i >= 0; --i) in_strides[i] = stride, stride *= in[i];
  int64_t in_offset = 0;
  for (uint32_t i = 0; i < 5; ++i) {
    const uint32_t axis = order[i];
    const uint32_t way = random.Between(0, 9);  // 0 expand, 1 backwards, 2-3 every second, else as it is
    const uint32_t step = way == 2 || way == 3 ? 2 : 1, start = random.Chance(70) ? 0 : random.Between(0, in[axis] - 1);
    loops[i] = way == 0 ? random.Between(1, 3) : (in[axis] - start + step - 1) / step;
    p.in_stride[i] = static_cast<int32_t>(way == 0 ? 0 : way == 1 ? -in_strides[axis] : in_strides[axis] * step);
    in_offset += in_strides[axis] * (way == 1 ? start + loops[i] - 1 : start);
    p.size[i] = loops[i];
    out[i] = loops[i] + (p.fill ? random.Between(0, 2) : 0);
  }
  p.in_offset = static_cast<uint32_t>(in_offset);
  stride = 1;
  for (int i = 4; i >= 0; --i) {
    p.out_stride[i] = static_cast<int32_t>(stride);
    p.out_offset += static_cast<uint32_t>(stride) * random.Between(0, out[i] - loops[i]);
    stride *= out[i];
  }
  Case c = {StepKind::kCopy, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(Draw(random, in));
  c.outputs.push_back(Result(out));
  return c;
}

Case DrawConcat(Random& random) {
  const gapcam::ConcatParams p = {random.Between(1, 20), random.Chance(50) ? 1 : random.Between(2, 4)};
  Case c = {StepKind::kConcat, {}, {}, {}};
  c.Set(p);
  uint32_t length = 0;
  for (uint32_t i = random.Between(1, 5); i > 0; --i) {
    const uint32_t part = random.Between(1, 40) * p.groups;
    c.inputs.push_back(Draw(random, {p.outer, part}, random.Chance(20)));
    length += part;
  }
  while (length > 0) {
    const uint32_t part = random.Chance(50) ? length : random.Between(1, length);
    c.outputs.push_back(Result({p.outer, part}));
    length -= part;
  }
  return c;
}

Case DrawResample(Random& random) {
  gapcam::ResampleParams p = {random.Between(1, 4), random.Between(1, 12), random.Between(1, 25), random.Between(1, 4),
                              random.Between(1, 40)};
  Case c = {StepKind::kResample, {}, {}, {}};
  c.Set(p);
  Operand indices = {{p.out_length, p.taps}, {}, {}, true};
  for (uint32_t i = 0; i < p.out_length * p.taps; ++i)
    indices.indices.push_back(static_cast<int32_t>(random.Between(0, p.in_length - 1)));
  Operand weights = Draw(random, {p.out_length, p.taps}, true);
  if (p.taps == 1)
    for (float& weight : weights.values) weight = random.Chance(70) ? 1.0f : weight;
  c.inputs = {Draw(random, {p.outer, p.in_length, p.inner}), indices, weights};
  c.outputs.push_back(Result({p.outer, p.out_length, p.inner}));
  return c;
}

}  // namespace

Case DrawCase(StepKind kind, Random& random) {
  switch (kind) {
    case StepKind::kConv2d: return DrawConv(random);
    case StepKind::kDense: return DrawDense(random);
    case StepKind::kPool2d: return DrawPool(random);
    case StepKind::kReduce: return DrawReduce(random);
    case StepKind::kElementwise: return DrawElementwise(random);
    case StepKind::kBinary: return DrawBinary(random);
    case StepKind::kSoftmax: return DrawAlongSpan<gapcam::SoftmaxParams>(random, kind, random.Between(0, 1), 10);
    case StepKind::kLpNormalization:
      return DrawAlongSpan<gapcam::LpNormalizationParams>(random, kind, random.Between(1, 2), 2);
    case StepKind::kLrn: return DrawLrn(random);
    case StepKind::kCopy: return DrawCopy(random);
    case StepKind::kConcat: return DrawConcat(random);
    case StepKind::kResample: return DrawResample(random);
    case StepKind::kChain: return DrawChain(random);
    case StepKind::kProduct: return DrawProduct(random);
  }
  return {};
}

}  // namespace gapcam_test
