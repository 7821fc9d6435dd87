// Random cases of the steps on bytes. Shapes are those of the float kinds; zero points, weights and biases are often
// extreme, and some multipliers make many ties.
#include <cmath>
#include <limits>

#include "draw.h"

namespace gapcam_test {

using gapcam::PlanType;
using gapcam::StepKind;

namespace {

int32_t Least(PlanType type) { return type == PlanType::kInt8 ? -128 : 0; }

int32_t DrawInt(Random& random, int32_t low, int32_t high) {
  return low + static_cast<int32_t>(random.Between(0, static_cast<uint32_t>(high - low)));
}

int32_t DrawZeroPoint(Random& random, PlanType type) {
  const int32_t least = Least(type);
  return random.Chance(50) ? DrawInt(random, least, least + 255)
                           : least + static_cast<int32_t>(random.Among({0, 127, 128, 255}));
}

// Powers of two, whose quotients are exact, or any number near 0.05.
float DrawScale(Random& random) {
  return random.Chance(35) ? std::ldexp(1.0f, -static_cast<int>(random.Between(3, 5))) : 0.08f + 0.07f * random.Float();
}

// Makes an operand one of bytes. An input gets values: any, only the ends, or all at one end of the range.
Operand AsBytes(Random& random, Operand operand, PlanType type, bool is_input) {
  if (!operand.present()) return operand;
  operand.type = type;
  operand.values.clear();
  operand.scale = DrawScale(random);
  operand.zero_point = DrawZeroPoint(random, type);
  const uint32_t way = random.Between(0, 9), count = is_input ? ElementsOf(operand.shape) : 0;
  const int32_t least = Least(type);
  for (uint32_t i = 0; i < count; ++i)
    operand.integers.push_back(way == 0   ? least
                               : way == 1 ? least + 255
                               : way == 2 ? least + 255 * static_cast<int32_t>(random.Between(0, 1))
                                          : DrawInt(random, least, least + 255));
  return operand;
}

// int8 weights, or uint8 ones with a zero point, as old files have.
Operand DrawWeights(Random& random, const PlanBuilder::Shape& shape) {
  Operand w = AsBytes(random, {shape, {}, {}, true}, random.Chance(75) ? PlanType::kInt8 : PlanType::kUint8, true);
  if (w.type == PlanType::kUint8) return w;
  w.zero_point = 0;
  if (random.Chance(15))
    for (int32_t& value : w.integers) value = static_cast<int32_t>(random.Among({0, 1, 255})) - 128;
  return w;
}

// Sums of `depth` products are a few thousand times the root of the depth.
float TypicalSum(uint32_t depth) { return 5000 * std::sqrt(static_cast<float>(depth)); }

Operand DrawBias(Random& random, uint32_t features, uint32_t depth) {
  Operand bias = {{features}, {}, {}, true, PlanType::kInt32};
  const auto typical = static_cast<int32_t>(TypicalSum(depth));
  const bool has_extremes = random.Chance(25);
  for (uint32_t i = 0; i < features; ++i) {
    const int32_t usual = DrawInt(random, -typical, typical);
    const int32_t end = random.Chance(50) ? std::numeric_limits<int32_t>::max() - std::abs(usual)
                                          : std::numeric_limits<int32_t>::min() + std::abs(usual);
    bias.integers.push_back(has_extremes && random.Chance(30) ? end : usual);
  }
  return bias;
}

// Multipliers with which most results are inside the range; powers of two make ties.
Operand DrawMultipliers(Random& random, uint32_t features, uint32_t depth) {
  Operand scales = {{features}, {}, {}, true};
  const float typical = 100 / TypicalSum(depth);
  const bool is_exact = random.Chance(25);
  for (uint32_t i = 0; i < features; ++i) {
    const float any = typical * (1.0f + 0.9f * random.Float());
    scales.values.push_back(random.Chance(3) ? 0.0f : is_exact ? std::exp2(std::round(std::log2(any))) : any);
  }
  if (random.Chance(5)) scales.values[0] = 3e38f;
  return scales;
}

// Weights, bias and multipliers, as the table lists them.
void AddProduct(Random& random, Case* c, const Operand& weights, const Operand& bias, uint32_t features) {
  if (!weights.present()) return c->inputs.resize(c->inputs.size() + 3);
  const uint32_t depth = ElementsOf(weights.shape) / features;
  c->inputs.push_back(DrawWeights(random, weights.shape));
  c->inputs.push_back(bias.present() ? DrawBias(random, features, depth) : Operand());
  c->inputs.push_back(DrawMultipliers(random, features, depth));
}

void DrawRange(Random& random, PlanType type, int32_t* low, int32_t* high) {
  const int32_t least = Least(type);
  *low = random.Chance(60) ? least : DrawInt(random, least, least + 255);
  *high = random.Chance(60) ? least + 255 : DrawInt(random, *low, least + 255);
}

template <typename P>
void DrawEnd(Random& random, PlanType type, P* p) {
  DrawRange(random, type, &p->low, &p->high);
  DrawRange(random, type, &p->middle_low, &p->middle_high);
  p->middle_scale = DrawScale(random);
  p->middle_zero = DrawZeroPoint(random, type);
  p->residual_first = random.Chance(50) ? 1 : 0;
}

PlanType DrawType(Random& random) { return random.Chance(50) ? PlanType::kInt8 : PlanType::kUint8; }

Case DrawQconv(Random& random) {
  const Case f = DrawCase(StepKind::kConv2d, random);
  const auto& w = f.As<gapcam::Conv2dParams>();
  const PlanType type = DrawType(random);
  gapcam::Qconv2dParams p = {};
  std::memcpy(&p, &w, offsetof(gapcam::Conv2dParams, activation));  // the window and the groups
  DrawEnd(random, type, &p);
  Case c = {StepKind::kQconv2d, {}, {}, {}};
  c.Set(p);
  const PlanBuilder::Shape &x = f.inputs[0].shape, &weights = f.inputs[1].shape;
  const PlanBuilder::Shape y = {
      x[0], OutSize(x[1], p.pad_top + p.pad_bottom, Reach(p.kernel_h, p.dilation_h), p.stride_h),
      OutSize(x[2], p.pad_left + p.pad_right, Reach(p.kernel_w, p.dilation_w), p.stride_w), weights[0]};
  c.inputs.push_back(AsBytes(random, f.inputs[0], type, true));
  AddProduct(random, &c, f.inputs[1], f.inputs[2], weights[0]);
  c.inputs.push_back(AsBytes(random, f.inputs[3], type, true));
  c.outputs.push_back(AsBytes(random, Result(y), type, false));
  c.outputs.push_back(AsBytes(random, f.outputs[1], type, false));
  return c;
}

Case DrawQdense(Random& random) {
  const Case f = DrawCase(StepKind::kDense, random);
  const PlanType type = DrawType(random);
  gapcam::QdenseParams p = {};
  p.transposed = f.As<gapcam::DenseParams>().transposed;
  DrawEnd(random, type, &p);
  Case c = {StepKind::kQdense, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(AsBytes(random, f.inputs[0], type, true));
  AddProduct(random, &c, f.inputs[1], f.inputs[2], f.inputs[1].shape[p.transposed ? 0 : 1]);
  c.inputs.push_back(AsBytes(random, f.inputs[3], type, true));
  c.outputs.push_back(AsBytes(random, f.outputs[0], type, false));
  return c;
}

Case DrawQchain(Random& random) {
  Case f;
  do {
    f = DrawCase(StepKind::kChain, random);
  } while (f.As<gapcam::ChainParams>().op == gapcam::WindowOp::kMax);
  const auto& w = f.As<gapcam::ChainParams>();
  const PlanType type = DrawType(random);
  gapcam::QchainParams p = {};
  std::memcpy(&p, &w, offsetof(gapcam::ChainParams, activation));  // the operation and the window
  std::memcpy(&p.expand_kernel_h, &w.expand_kernel_h, 10 * sizeof(uint32_t));
  DrawEnd(random, type, &p);
  DrawRange(random, type, &p.expand_low, &p.expand_high);
  DrawRange(random, type, &p.window_low, &p.window_high);
  p.expand_zero = DrawZeroPoint(random, type);
  p.window_zero = DrawZeroPoint(random, type);
  Case c = {StepKind::kQchain, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(AsBytes(random, f.inputs[0], type, true));
  for (size_t i = 1; i < 7; i += 2) {
    const Operand& weights = f.inputs[i];
    AddProduct(random, &c, weights, f.inputs[i + 1], weights.present() ? weights.shape[0] : 0);
  }
  c.inputs.push_back(AsBytes(random, f.inputs[7], type, true));
  c.outputs.push_back(AsBytes(random, f.outputs[0], type, false));
  c.outputs.push_back(AsBytes(random, f.outputs[1], type, false));
  return c;
}

Case DrawQbinary(Random& random) {
  const Case f = DrawCase(StepKind::kBinary, random);
  const PlanType type = DrawType(random);
  gapcam::QbinaryParams p = {random.Chance(60) ? gapcam::Binary::kAdd : gapcam::Binary::kMul, 0, 0};
  DrawRange(random, type, &p.low, &p.high);
  Case c = {StepKind::kQbinary, {}, {}, {}};
  c.Set(p);
  for (const Operand& operand : f.inputs) c.inputs.push_back(AsBytes(random, operand, type, true));
  c.outputs.push_back(AsBytes(random, f.outputs[0], type, false));
  c.is_in_place = f.is_in_place;
  return c;
}

Case DrawQpool(Random& random) {
  const Case f = DrawCase(StepKind::kPool2d, random);
  const auto& w = f.As<gapcam::Pool2dParams>();
  const PlanType type = DrawType(random);
  gapcam::Qpool2dParams p = {};
  std::memcpy(&p, &w.kernel_h, 11 * sizeof(uint32_t));  // the window and the kind of count
  DrawRange(random, type, &p.low, &p.high);
  Case c = {StepKind::kQpool2d, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(AsBytes(random, f.inputs[0], type, true));
  c.outputs.push_back(AsBytes(random, f.outputs[0], type, false));
  return c;
}

Case DrawQreduce(Random& random) {
  const Case f = DrawCase(StepKind::kReduce, random);
  const auto& s = f.As<gapcam::ReduceParams>();
  const PlanType type = DrawType(random);
  gapcam::QreduceParams p = {s.outer, s.length, s.inner, 0, 0};
  DrawRange(random, type, &p.low, &p.high);
  Case c = {StepKind::kQreduce, {}, {}, {}};
  c.Set(p);
  c.inputs.push_back(AsBytes(random, f.inputs[0], type, true));
  c.outputs.push_back(AsBytes(random, f.outputs[0], type, false));
  return c;
}

// quantize, with ties, infinities and NaNs; dequantize and lookup.
Case DrawOneByte(StepKind kind, Random& random) {
  const PlanType type = DrawType(random);
  const uint32_t count = random.Chance(80) ? random.Between(1, 300) : random.Between(16000, 40000);
  Case c = {kind, {}, {}, {}};
  const Operand floats = Draw(random, {count}, false, 20), result = Result({count});
  c.inputs.push_back(kind == StepKind::kQuantize ? floats : AsBytes(random, result, type, true));
  c.outputs.push_back(kind == StepKind::kDequantize ? result : AsBytes(random, result, type, false));
  if (kind == StepKind::kLookup) {
    c.inputs.push_back(AsBytes(random, {{256}, {}, {}, true}, PlanType::kUint8, true));
    c.is_in_place = random.Chance(40);
  }
  if (kind != StepKind::kQuantize) return c;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float specials[] = {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 3e38f, -3e38f, 0.0f, -0.0f};
  for (float& value : c.inputs[0].values) {
    if (random.Chance(3)) value = specials[random.Between(0, 6)];
    if (random.Chance(20)) value = c.outputs[0].scale * (static_cast<float>(DrawInt(random, -200, 200)) + 0.5f);
  }
  return c;
}

}  // namespace

Case DrawQuantized(StepKind kind, Random& random) {
  switch (kind) {
    case StepKind::kQconv2d: return DrawQconv(random);
    case StepKind::kQdense: return DrawQdense(random);
    case StepKind::kQbinary: return DrawQbinary(random);
    case StepKind::kQpool2d: return DrawQpool(random);
    case StepKind::kQreduce: return DrawQreduce(random);
    case StepKind::kQchain: return DrawQchain(random);
    default: return DrawOneByte(kind, random);
  }
}

Case DrawMovedBytes(StepKind kind, Random& random) {
  Case c;
  do {
    c = DrawCase(kind, random);
  } while (kind == StepKind::kResample && c.As<gapcam::ResampleParams>().taps != 1);
  const PlanType type = DrawType(random);
  if (kind == StepKind::kCopy) {
    auto p = c.As<gapcam::CopyParams>();
    p.value = static_cast<float>(DrawInt(random, Least(type), Least(type) + 255));
    c.Set(p);
  }
  if (kind == StepKind::kPool2d) c.params[0] = static_cast<uint32_t>(gapcam::Pool::kMax);
  if (kind == StepKind::kReduce)
    c.params[0] = static_cast<uint32_t>(random.Chance(50) ? gapcam::Reduce::kMax : gapcam::Reduce::kMin);
  const float scale = DrawScale(random);
  const int32_t zero_point = DrawZeroPoint(random, type);
  for (auto* list : {&c.inputs, &c.outputs}) {
    for (Operand& operand : *list) {
      if (kind == StepKind::kResample && operand.is_constant) continue;
      operand = AsBytes(random, operand, type, list == &c.inputs);
      operand.scale = scale;
      operand.zero_point = zero_point;
    }
  }
  if (kind == StepKind::kResample) c.inputs[2].values.assign(c.inputs[2].values.size(), 1.0f);
  return c;
}

}  // namespace gapcam_test
