// Solves a case of any kind of step by its definition; see naive.h.
#include "naive.h"

#include <limits>

namespace gapcam_test {
namespace {

using gapcam::Elementwise;
using gapcam::StepKind;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Answer> SolvePool(const Case& c) {
  const auto& p = c.As<gapcam::Pool2dParams>();
  const PlanBuilder::Shape &in = c.inputs[0].shape, &out = c.outputs[0].shape;
  const bool is_max = p.op == gapcam::Pool::kMax;
  Answer y = Zeros(ElementsOf(out));
  size_t at = 0;
  for (uint32_t n = 0; n < out[0]; ++n)
    for (uint32_t oy = 0; oy < out[1]; ++oy)
      for (uint32_t ox = 0; ox < out[2]; ++ox)
        for (uint32_t ch = 0; ch < out[3]; ++ch, ++at) {
          double result = is_max ? -kInfinity : 0, counted = 0;
          for (uint32_t ky = 0; ky < p.kernel_h; ++ky)
            for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
              const int64_t iy = int64_t{oy} * p.stride_h + int64_t{ky} * p.dilation_h - p.pad_top,
                            ix = int64_t{ox} * p.stride_w + int64_t{kx} * p.dilation_w - p.pad_left;
              const bool is_inside = iy >= 0 && ix >= 0 && iy < in[1] && ix < in[2];
              if (is_inside ||
                  (p.count_padding && iy < int64_t{in[1]} + p.pad_bottom && ix < int64_t{in[2]} + p.pad_right))
                ++counted;
              if (!is_inside) continue;
              const double value = c.inputs[0].values[((n * in[1] + iy) * in[2] + ix) * in[3] + ch];
              result = is_max ? Raise(result, value) : result + value;
              y.magnitudes[at] += std::fabs(value);
            }
          y.values[at] = is_max ? result : result / counted;
        }
  return {y};
}

// One step of a reduction.
double Combine(gapcam::Reduce op, double acc, double value) {
  switch (op) {
    case gapcam::Reduce::kMean:
    case gapcam::Reduce::kSum: return acc + value;
    case gapcam::Reduce::kMax: return Raise(acc, value);
    case gapcam::Reduce::kMin: return Lower(acc, value);
    case gapcam::Reduce::kL1: return acc + std::fabs(value);
    case gapcam::Reduce::kL2:
    case gapcam::Reduce::kSumSquare: return acc + value * value;
    case gapcam::Reduce::kProd: return acc * value;
  }
  return acc;
}

std::vector<Answer> SolveReduce(const Case& c) {
  const auto& p = c.As<gapcam::ReduceParams>();
  using gapcam::Reduce;
  Answer y = Zeros(size_t{p.outer} * p.inner);
  for (size_t at = 0; at < y.values.size(); ++at) {
    double acc = p.op == Reduce::kMax ? -kInfinity : p.op == Reduce::kMin ? kInfinity : p.op == Reduce::kProd ? 1 : 0;
    for (uint32_t l = 0; l < p.length; ++l) {
      const double value = c.inputs[0].values[(at / p.inner * p.length + l) * p.inner + at % p.inner];
      acc = Combine(p.op, acc, value);
      y.magnitudes[at] += std::fabs(value);
    }
    y.values[at] = p.op == Reduce::kMean ? acc / p.length : p.op == Reduce::kL2 ? std::sqrt(acc) : acc;
  }
  return {y};
}

std::vector<Answer> SolveElementwise(const Case& c) {
  Answer y = Zeros(c.inputs[0].values.size());
  for (size_t i = 0; i < y.values.size(); ++i)
    y.values[i] = c.inputs[0].values[i], y.magnitudes[i] = std::fabs(y.values[i]);
  Activate(c.As<gapcam::ElementwiseParams>(), &y);
  return {y};
}

// The element of an operand that broadcasting puts at element `at` of the output.
double Broadcast(const Operand& operand, const PlanBuilder::Shape& out, size_t at) {
  size_t index = 0, stride = 1;
  for (size_t i = 1; i <= out.size(); ++i) {
    const size_t position = at % out[out.size() - i];
    at /= out[out.size() - i];
    if (i > operand.shape.size()) continue;
    const uint32_t size = operand.shape[operand.shape.size() - i];
    if (size != 1) index += position * stride;
    stride *= size;
  }
  return operand.values[index];
}

double Combine(gapcam::Binary op, double x, double z) {
  switch (op) {
    case gapcam::Binary::kAdd: return x + z;
    case gapcam::Binary::kSub: return x - z;
    case gapcam::Binary::kMul: return x * z;
    case gapcam::Binary::kDiv: return x / z;
    case gapcam::Binary::kMax: return Raise(x, z);
    case gapcam::Binary::kMin: return Lower(x, z);
    case gapcam::Binary::kPow: return std::pow(x, z);
    case gapcam::Binary::kPrelu: return x < 0 ? x * z : x;
  }
  return 0;
}

std::vector<Answer> SolveBinary(const Case& c) {
  const auto& p = c.As<gapcam::BinaryParams>();
  const PlanBuilder::Shape& out = c.outputs[0].shape;
  Answer y = Zeros(ElementsOf(out));
  for (size_t i = 0; i < y.values.size(); ++i) {
    const double x = Broadcast(c.inputs[0], out, i), z = Broadcast(c.inputs[1], out, i);
    y.values[i] = Combine(p.op, x, z);
    y.magnitudes[i] = std::fabs(x) + std::fabs(z) + std::fabs(y.values[i]);
  }
  Activate(p, &y);
  return {y};
}

// Softmax and LpNormalization: applies `line` to each line of the middle axis.
template <typename P, typename Line>
std::vector<Answer> SolveLines(const Case& c, const Line& line) {
  const auto& p = c.As<P>();
  Answer y = Zeros(c.inputs[0].values.size());
  std::vector<double> values(p.length);
  for (uint32_t unit = 0; unit < p.outer * p.inner; ++unit) {
    const size_t first = size_t{unit / p.inner} * p.length * p.inner + unit % p.inner;
    for (uint32_t l = 0; l < p.length; ++l) values[l] = c.inputs[0].values[first + l * p.inner];
    line(p, &values);
    for (uint32_t l = 0; l < p.length; ++l) {
      y.values[first + l * p.inner] = values[l];
      y.magnitudes[first + l * p.inner] = std::fabs(values[l]) + 0.1;
    }
  }
  return {y};
}

void SoftmaxLine(const gapcam::SoftmaxParams& p, std::vector<double>* values) {
  double sum = 0;
  for (double value : *values) sum += std::exp(value);
  for (double& value : *values) value = p.logarithm ? value - std::log(sum) : std::exp(value) / sum;
}

void LpLine(const gapcam::LpNormalizationParams& p, std::vector<double>* values) {
  double sum = 0;
  for (double value : *values) sum += p.p == 1 ? std::fabs(value) : value * value;
  const double norm = p.p == 1 ? sum : std::sqrt(sum);
  for (double& value : *values) value = norm == 0 ? 0 : value / norm;
}

std::vector<Answer> SolveLrn(const Case& c) {
  const auto& p = c.As<gapcam::LrnParams>();
  const int64_t channels = c.inputs[0].shape.back(), before = (p.size - 1) / 2;
  Answer y = Zeros(c.inputs[0].values.size());
  for (size_t i = 0; i < y.values.size(); ++i) {
    const int64_t channel = static_cast<int64_t>(i) % channels;
    double sum = 0;
    for (int64_t j = channel - before; j < channel - before + p.size; ++j) {
      if (j >= 0 && j < channels) sum += std::pow(double{c.inputs[0].values[i - channel + j]}, 2);
    }
    y.values[i] = c.inputs[0].values[i] / std::pow(p.bias + double{p.alpha} / p.size * sum, double{p.beta});
    y.magnitudes[i] = std::fabs(y.values[i]);
  }
  return {y};
}

}  // namespace

double Apply(Elementwise op, double a, double b, double x) {
  switch (op) {
    case Elementwise::kNone: return x;
    case Elementwise::kRelu: return Raise(x, 0);
    case Elementwise::kClip: return Lower(Raise(x, a), b);
    case Elementwise::kLeakyRelu: return x < 0 ? a * x : x;
    case Elementwise::kSigmoid: return 1 / (1 + std::exp(-x));
    case Elementwise::kHardSigmoid: return Raise(Lower(a * x + b, 1), 0);
    case Elementwise::kHardSwish: return x * Lower(Raise(x / 6 + 0.5, 0), 1);
    case Elementwise::kTanh: return std::tanh(x);
    case Elementwise::kElu: return x < 0 ? a * std::expm1(x) : x;
    case Elementwise::kSilu: return x / (1 + std::exp(-x));
    case Elementwise::kGelu: return x * (1 + std::erf(x / std::sqrt(2.0))) / 2;
    case Elementwise::kGeluTanh:
      return x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x))) / 2;
    case Elementwise::kSoftplus: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    case Elementwise::kExp: return std::exp(x);
    case Elementwise::kSqrt: return std::sqrt(x);
    case Elementwise::kErf: return std::erf(x);
    case Elementwise::kLog: return std::log(x);
    case Elementwise::kAbs: return std::fabs(x);
    case Elementwise::kNeg: return -x;
    case Elementwise::kReciprocal: return 1 / x;
    case Elementwise::kFloor: return std::floor(x);
    case Elementwise::kCeil: return std::ceil(x);
    case Elementwise::kAffine: return a * x + b;
    case Elementwise::kPower: return std::pow(x, a);
    case Elementwise::kSelu: return b * (x < 0 ? a * std::expm1(x) : x);
    case Elementwise::kSoftsign: return x / (1 + std::fabs(x));
  }
  return 0;
}

std::vector<Answer> Solve(const Case& c) {
  switch (c.kind) {
    case StepKind::kConv2d: return SolveConv(c);
    case StepKind::kDense: return SolveDense(c);
    case StepKind::kPool2d: return SolvePool(c);
    case StepKind::kReduce: return SolveReduce(c);
    case StepKind::kElementwise: return SolveElementwise(c);
    case StepKind::kBinary: return SolveBinary(c);
    case StepKind::kSoftmax: return SolveLines<gapcam::SoftmaxParams>(c, SoftmaxLine);
    case StepKind::kLpNormalization: return SolveLines<gapcam::LpNormalizationParams>(c, LpLine);
    case StepKind::kLrn: return SolveLrn(c);
    case StepKind::kCopy: return SolveCopy(c);
    case StepKind::kConcat: return SolveConcat(c);
    case StepKind::kResample: return SolveResample(c);
    case StepKind::kChain: return SolveChain(c);
    case StepKind::kProduct: return SolveProduct(c);
    default: return SolveQuantized(c);
  }
  return {};
}

}  // namespace gapcam_test
