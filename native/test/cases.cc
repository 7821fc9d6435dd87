// Draws random cases of every kind of step.
#include "draw.h"

namespace gapcam_test {

using gapcam::StepKind;

Operand Draw(Random& random, const PlanBuilder::Shape& shape, bool is_constant, float scale, float offset) {
  return {shape, random.Floats(ElementsOf(shape), scale, offset), {}, is_constant};
}

Operand Result(const PlanBuilder::Shape& shape) { return {shape, {}, {}, false}; }

namespace {

// A function with parameters that models have.
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

}  // namespace

// The first two of the table (Relu and Clip) are drawn most often, as in models.
DrawnActivation DrawActivation(Random& random) {
  constexpr uint32_t kCount = sizeof(gapcam::kFusibleActivations) / sizeof(gapcam::kFusibleActivations[0]);
  const uint32_t at = random.Chance(60) ? random.Between(0, 2) : random.Between(0, kCount);
  return at == 0 ? DrawnActivation{gapcam::Elementwise::kNone, 0, 0}
                 : WithParameters(gapcam::kFusibleActivations[at - 1], random);
}

uint32_t DrawSide(Random& random, uint32_t reach, uint32_t pads) {
  const uint32_t least = reach > pads ? reach - pads : 1;
  return least + (random.Chance(70) ? random.Between(0, 9) : random.Between(0, 30));
}

namespace {

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

// The sizes of [outer, length, inner].
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
    // Divisors and bases keep away from zero, where the error of the result is not bounded.
    const bool is_positive =
        (p.op == gapcam::Binary::kDiv && operand == 1) || (p.op == gapcam::Binary::kPow && operand == 0);
    c.inputs.push_back(Draw(random, shape, operand == 1 && random.Chance(50), 1, is_positive ? 1.5f : 0));
  }
  c.outputs.push_back(Result(out));
  c.is_in_place = c.inputs[0].shape == out && random.Chance(40);
  return c;
}

// A case of a step over lines whose output has the shape of its input.
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
    default: return DrawQuantized(kind, random);
  }
  return {};
}

}  // namespace gapcam_test
