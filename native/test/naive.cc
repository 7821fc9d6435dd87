// Every step by its definition in src/model/steps.ts, in double precision and without a thought for speed. It shares
// nothing with the kernels.
#include <cmath>
#include <limits>

#include "cases.h"

namespace gapcam_test {
namespace {

using gapcam::Elementwise;
using gapcam::StepKind;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Answer Zeros(size_t count) { return {std::vector<double>(count, 0), std::vector<double>(count, 0)}; }

// As min and max of the standard, but a NaN in either stays one.
double Lower(double x, double bound) { return x > bound || std::isnan(bound) ? bound : x; }
double Raise(double x, double bound) { return x < bound || std::isnan(bound) ? bound : x; }

template <typename P>
void Activate(const P& p, Answer* answer) {
  for (size_t i = 0; i < answer->values.size(); ++i) {
    answer->values[i] = Apply(p.activation, p.a, p.b, answer->values[i]);
    answer->magnitudes[i] += std::fabs(answer->values[i]);
  }
}

std::vector<Answer> SolveConv(const Case& c) {
  const auto& p = c.As<gapcam::Conv2dParams>();
  const Operand &x = c.inputs[0], &w = c.inputs[1], &bias = c.inputs[2], &residual = c.inputs[3];
  const uint32_t batch = x.shape[0], height = x.shape[1], width = x.shape[2], channels = x.shape[3],
                 features = w.shape[0];
  const uint32_t out_h = (height + p.pad_top + p.pad_bottom - (p.kernel_h - 1) * p.dilation_h - 1) / p.stride_h + 1;
  const uint32_t out_w = (width + p.pad_left + p.pad_right - (p.kernel_w - 1) * p.dilation_w - 1) / p.stride_w + 1;
  const uint32_t per_group = channels / p.groups;
  Answer y = Zeros(size_t{batch} * out_h * out_w * features), pooled = Zeros(size_t{batch} * features);
  size_t at = 0;
  for (uint32_t n = 0; n < batch; ++n)
    for (uint32_t oy = 0; oy < out_h; ++oy)
      for (uint32_t ox = 0; ox < out_w; ++ox) {
        for (uint32_t o = 0; o < features; ++o, ++at) {
          double sum = bias.present() ? bias.values[o] : 0, size = std::fabs(sum);
          const uint32_t first = o / (features / p.groups) * per_group;
          for (uint32_t i = 0; i < per_group; ++i)
            for (uint32_t ky = 0; ky < p.kernel_h; ++ky)
              for (uint32_t kx = 0; kx < p.kernel_w; ++kx) {
                const int64_t iy = int64_t{oy} * p.stride_h + int64_t{ky} * p.dilation_h - p.pad_top,
                              ix = int64_t{ox} * p.stride_w + int64_t{kx} * p.dilation_w - p.pad_left;
                if (iy < 0 || ix < 0 || iy >= height || ix >= width) continue;
                const double term = double{x.values[((n * height + iy) * width + ix) * channels + first + i]} *
                                    w.values[((o * per_group + i) * p.kernel_h + ky) * p.kernel_w + kx];
                sum += term;
                size += std::fabs(term);
              }
          if (residual.present()) sum += residual.values[at], size += std::fabs(residual.values[at]);
          y.values[at] = sum;
          y.magnitudes[at] = size;
        }
      }
  Activate(p, &y);
  const double area = double{1} * out_h * out_w;
  for (size_t i = 0; i < y.values.size(); ++i) {
    const size_t to = i / (size_t{out_h} * out_w * features) * features + i % features;
    pooled.values[to] += y.values[i] / area;
    pooled.magnitudes[to] += y.magnitudes[i] / area;
  }
  return {y, pooled};
}

std::vector<Answer> SolveDense(const Case& c) {
  const auto& p = c.As<gapcam::DenseParams>();
  const Operand &x = c.inputs[0], &w = c.inputs[1], &bias = c.inputs[2], &residual = c.inputs[3];
  const uint32_t rows = x.shape[0], depth = x.shape[1], columns = w.shape[p.transposed ? 0 : 1];
  Answer y = Zeros(size_t{rows} * columns);
  for (uint32_t m = 0; m < rows; ++m)
    for (uint32_t n = 0; n < columns; ++n) {
      const size_t at = size_t{m} * columns + n;
      double sum = (bias.present() ? bias.values[n] : 0.0) + (residual.present() ? residual.values[at] : 0.0),
             size = std::fabs(sum) + 1;
      for (uint32_t k = 0; k < depth; ++k) {
        const double term = double{x.values[m * depth + k]} * w.values[p.transposed ? n * depth + k : k * columns + n];
        sum += term;
        size += std::fabs(term);
      }
      y.values[at] = sum;
      y.magnitudes[at] = size;
    }
  Activate(p, &y);
  return {y};
}

std::vector<Answer> SolveProduct(const Case& c) {
  const auto& p = c.As<gapcam::ProductParams>();
  const Operand &x = c.inputs[0], &z = c.inputs[1];
  Answer y = Zeros(size_t{p.batches} * p.rows * p.columns);
  size_t at = 0;
  for (uint32_t b = 0; b < p.batches; ++b)
    for (uint32_t m = 0; m < p.rows; ++m)
      for (uint32_t n = 0; n < p.columns; ++n, ++at) {
        const size_t row = (size_t{x.shape[0] > 1 ? b : 0} * p.rows + m) * p.depth,
                     matrix = size_t{z.shape[0] > 1 ? b : 0} * p.depth * p.columns;
        double size = 1;
        for (uint32_t k = 0; k < p.depth; ++k) {
          const double term = double{x.values[row + k]} * z.values[matrix + size_t{k} * p.columns + n];
          y.values[at] += term;
          size += std::fabs(term);
        }
        y.magnitudes[at] = size;
      }
  Activate(p, &y);
  return {y};
}

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

// The element of an operand that numpy's broadcasting puts at `at` of the output.
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

// Softmax and LpNormalization: each line of the middle axis by itself.
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

std::vector<Answer> SolveCopy(const Case& c) {
  const auto& p = c.As<gapcam::CopyParams>();
  Answer y = Zeros(ElementsOf(c.outputs[0].shape));
  for (double& value : y.values) value = p.value;
  int64_t i[5];
  for (i[0] = 0; i[0] < p.size[0]; ++i[0])
    for (i[1] = 0; i[1] < p.size[1]; ++i[1])
      for (i[2] = 0; i[2] < p.size[2]; ++i[2])
        for (i[3] = 0; i[3] < p.size[3]; ++i[3])
          for (i[4] = 0; i[4] < p.size[4]; ++i[4]) {
            int64_t from = p.in_offset, to = p.out_offset;
            for (int axis = 0; axis < 5; ++axis)
              from += i[axis] * p.in_stride[axis], to += i[axis] * p.out_stride[axis];
            y.values.at(static_cast<size_t>(to)) = c.inputs[0].values.at(static_cast<size_t>(from));
          }
  return {y};
}

std::vector<Answer> SolveConcat(const Case& c) {
  const auto& p = c.As<gapcam::ConcatParams>();
  std::vector<Answer> answers(c.outputs.size(), Zeros(0));
  for (uint32_t o = 0; o < p.outer; ++o) {
    std::vector<double> row, dealt;
    for (const Operand& part : c.inputs) {
      const size_t length = part.values.size() / p.outer;
      row.insert(row.end(), part.values.begin() + o * length, part.values.begin() + (o + 1) * length);
    }
    for (size_t j = 0; j < row.size() / p.groups; ++j)
      for (uint32_t i = 0; i < p.groups; ++i) dealt.push_back(row[i * (row.size() / p.groups) + j]);
    size_t at = 0;
    for (size_t i = 0; i < answers.size(); ++i)
      for (uint32_t j = 0; j < c.outputs[i].shape[1]; ++j) answers[i].values.push_back(dealt[at++]);
  }
  for (Answer& answer : answers) answer.magnitudes.assign(answer.values.size(), 0);
  return answers;
}

std::vector<Answer> SolveResample(const Case& c) {
  const auto& p = c.As<gapcam::ResampleParams>();
  Answer y = Zeros(size_t{p.outer} * p.out_length * p.inner);
  for (uint32_t o = 0; o < p.outer; ++o)
    for (uint32_t j = 0; j < p.out_length; ++j)
      for (uint32_t i = 0; i < p.inner; ++i)
        for (uint32_t t = 0; t < p.taps; ++t) {
          const size_t at = (size_t{o} * p.out_length + j) * p.inner + i, tap = size_t{j} * p.taps + t;
          const double term = double{c.inputs[2].values[tap]} *
                              c.inputs[0].values[(o * p.in_length + c.inputs[1].indices[tap]) * p.inner + i];
          y.values[at] += term;
          y.magnitudes[at] += std::fabs(term);
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
  }
  return {};
}

}  // namespace gapcam_test
