// Naive solutions of the steps on bytes, by their definition in src/model/quantized-steps.ts. Sums are 64-bit integers.
// A single-precision operation is one in double precision, rounded to float: for +, -, · and / of two floats the result
// is the same.
#include <algorithm>
#include <limits>

#include "check.h"
#include "naive.h"

namespace gapcam_test {
namespace {

using gapcam::PlanType;
using gapcam::StepKind;

double Single(double value) { return static_cast<float>(value); }

struct Range {
  double zero, low, high;
};

Range RangeOf(const Operand& y, double low, double high) { return {static_cast<double>(y.zero_point), low, high}; }
Range WholeRange(const Operand& y) {
  const double least = y.type == PlanType::kInt8 ? -128 : 0;
  return RangeOf(y, least, least + 255);
}

double ToByte(double value, const Range& range) {
  return std::min(std::max(std::nearbyint(value) + range.zero, range.low), range.high);
}

// A sum times its multiplier.
double ToByte(int64_t sum, double multiplier, const Range& range) {
  EXPECT(sum >= std::numeric_limits<int32_t>::min() && sum <= std::numeric_limits<int32_t>::max(), "a sum wraps");
  return ToByte(Single(Single(static_cast<double>(sum)) * multiplier), range);
}

// What makes the bytes of a tensor numbers from 0 to 255.
double Offset(const Operand& tensor) { return tensor.type == PlanType::kInt8 ? 128 : 0; }

// a · b + c with one rounding.
double Fused(double a, double b, double c) {
  return std::fma(static_cast<float>(a), static_cast<float>(b), static_cast<float>(c));
}

// A byte on its way into a sum.
struct Addend {
  double byte, scale, zero;
};

double Add(const Addend& a, const Addend& b, const Operand& y, double low, double high) {
  const double offset = Offset(y), p = Single(a.scale / y.scale), q = Single(b.scale / y.scale);
  const double zeros = Fused(p, a.zero + offset, Single(q * (b.zero + offset)));
  const double second = Fused(b.byte + offset, q, Single(y.zero_point + offset - zeros));
  return ToByte(Fused(a.byte + offset, p, second), {0, low + offset, high + offset}) - offset;
}

Addend AddendOf(const Operand& tensor, int32_t byte) {
  return {static_cast<double>(byte), tensor.scale, static_cast<double>(tensor.zero_point)};
}

// A convolution of bytes on its way: values and zero point of its input, and its window.
struct Picture {
  PlanBuilder::Shape shape;
  std::vector<double> values;
  int32_t zero_point;
  PlanType type;
};

struct Window {
  uint32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups;
};

// A bias that keeps every sum of its channel inside 32 bits, whatever the bytes of x are.
int64_t LimitedBias(int64_t bias, const int32_t* weights, size_t stride, uint32_t depth, int32_t weight_zero,
                    PlanType type, int32_t x_zero) {
  const int64_t least = type == PlanType::kInt8 ? -128 : 0;
  int64_t low = 0, high = 0;
  for (uint32_t k = 0; k < depth; ++k) {
    const int64_t w = weights[k * stride] - weight_zero;
    const int64_t ends[] = {w * (least - x_zero), w * (least + 255 - x_zero)};
    low += std::min(ends[0], ends[1]);
    high += std::max(ends[0], ends[1]);
  }
  const int64_t floor = std::numeric_limits<int32_t>::min() - low, ceiling = std::numeric_limits<int32_t>::max() - high;
  return bias < floor ? floor : bias > ceiling ? ceiling : bias;
}

// The sums of a convolution, for each pixel of a picture of these sizes.
std::vector<int64_t> Convolve(const Picture& x, const Window& p, const Operand& w, const Operand& bias, uint32_t height,
                              uint32_t width) {
  const uint32_t features = w.shape[0], c = w.shape[1], depth = c * p.kernel_h * p.kernel_w;
  std::vector<int64_t> sums;
  std::vector<int64_t> biases(features, 0);
  for (uint32_t o = 0; o < features && bias.present(); ++o)
    biases[o] =
        LimitedBias(bias.integers[o], &w.integers[size_t{o} * depth], 1, depth, w.zero_point, x.type, x.zero_point);
  for (uint32_t i = 0; i < x.shape[0] * height * width * features; ++i) {
    const uint32_t o = i % features, ox = i / features % width, oy = i / features / width % height;
    const uint32_t image = i / features / width / height, first = o / (features / p.groups) * c;
    int64_t sum = biases[o];
    for (uint32_t k = 0; k < depth; ++k) {
      const int64_t ky = k / p.kernel_w % p.kernel_h, kx = k % p.kernel_w;
      const uint32_t channel = k / p.kernel_w / p.kernel_h;
      const int64_t iy = int64_t{oy} * p.stride_h - p.pad_top + ky * p.dilation_h;
      const int64_t ix = int64_t{ox} * p.stride_w - p.pad_left + kx * p.dilation_w;
      if (iy < 0 || iy >= x.shape[1] || ix < 0 || ix >= x.shape[2]) continue;
      const int64_t pixel = (int64_t{image} * x.shape[1] + iy) * x.shape[2] + ix;
      const auto value = static_cast<int64_t>(x.values[static_cast<size_t>(pixel * x.shape[3] + first + channel)]);
      sum += (value - x.zero_point) * (w.integers[size_t{o} * depth + k] - w.zero_point);
    }
    sums.push_back(sum);
  }
  return sums;
}

// Results of sums that have a residual or not.
template <typename P>
std::vector<double> Finish(const std::vector<int64_t>& sums, const Operand& scales, const P& p, const Operand& residual,
                           const Operand& y) {
  std::vector<double> values;
  for (size_t i = 0; i < sums.size(); ++i) {
    const double m = scales.values[i % scales.values.size()];
    if (!residual.present()) {
      values.push_back(ToByte(sums[i], m, RangeOf(y, p.low, p.high)));
      continue;
    }
    const double q = ToByte(
        sums[i], m,
        {static_cast<double>(p.middle_zero), static_cast<double>(p.middle_low), static_cast<double>(p.middle_high)});
    const Addend middle = {q, p.middle_scale, static_cast<double>(p.middle_zero)};
    const Addend other = AddendOf(residual, residual.integers[i]);
    values.push_back(p.residual_first ? Add(other, middle, y, p.low, p.high) : Add(middle, other, y, p.low, p.high));
  }
  return values;
}

Answer Of(const std::vector<double>& values) { return {values, std::vector<double>(values.size(), 0)}; }

// Means over the middle of [outer,length,inner].
std::vector<double> Means(const std::vector<double>& x, const Operand& from, const Operand& to, uint32_t outer,
                          uint32_t length, uint32_t inner, const Range& range) {
  std::vector<double> means;
  for (uint32_t i = 0; i < outer * inner; ++i) {
    int64_t sum = 0;
    for (uint32_t l = 0; l < length; ++l)
      sum += static_cast<int64_t>(x[(size_t{i / inner} * length + l) * inner + i % inner]) - from.zero_point;
    means.push_back(ToByte(sum, Single(from.scale / Single(static_cast<double>(to.scale) * length)), range));
  }
  return means;
}

std::vector<Answer> WithMean(const std::vector<double>& y, const Case& c) {
  const Operand &out = c.outputs[0], &pooled = c.outputs[1];
  if (!pooled.present()) return {Of(y), Answer()};
  return {Of(y),
          Of(Means(y, out, pooled, out.shape[0], out.shape[1] * out.shape[2], out.shape[3], WholeRange(pooled)))};
}

Picture PictureOf(const Operand& x) {
  return {x.shape, std::vector<double>(x.integers.begin(), x.integers.end()), x.zero_point, x.type};
}

std::vector<Answer> SolveQconv(const Case& c) {
  const auto& p = c.As<gapcam::Qconv2dParams>();
  const Window window = {p.kernel_h, p.kernel_w,   p.stride_h,   p.stride_w, p.pad_top,
                         p.pad_left, p.dilation_h, p.dilation_w, p.groups};
  const PlanBuilder::Shape& y = c.outputs[0].shape;
  const std::vector<int64_t> sums = Convolve(PictureOf(c.inputs[0]), window, c.inputs[1], c.inputs[2], y[1], y[2]);
  return WithMean(Finish(sums, c.inputs[3], p, c.inputs[4], c.outputs[0]), c);
}

// The outputs of a window along one axis.
uint32_t Outputs(uint32_t size, uint32_t pads, uint32_t kernel, uint32_t stride, uint32_t dilation) {
  return (size + pads - (kernel - 1) * dilation - 1) / stride + 1;
}

std::vector<Answer> SolveQchain(const Case& c) {
  const auto& p = c.As<gapcam::QchainParams>();
  Picture x = PictureOf(c.inputs[0]);
  // Makes the sums of a part of the chain the next picture.
  const auto advance = [&x](const std::vector<int64_t>& sums, const Operand& scales, uint32_t height, uint32_t width,
                            const Range& range) {
    const auto features = static_cast<uint32_t>(scales.values.size());
    x.values.clear();
    for (size_t i = 0; i < sums.size(); ++i) x.values.push_back(ToByte(sums[i], scales.values[i % features], range));
    x.shape = {x.shape[0], height, width, features};
    x.zero_point = static_cast<int32_t>(range.zero);
  };
  if (c.inputs[4].present()) {
    const Window w = {p.expand_kernel_h,   p.expand_kernel_w,   p.expand_stride_h,
                      p.expand_stride_w,   p.expand_pad_top,    p.expand_pad_left,
                      p.expand_dilation_h, p.expand_dilation_w, 1};
    const uint32_t height =
        Outputs(x.shape[1], p.expand_pad_top + p.expand_pad_bottom, w.kernel_h, w.stride_h, w.dilation_h);
    const uint32_t width =
        Outputs(x.shape[2], p.expand_pad_left + p.expand_pad_right, w.kernel_w, w.stride_w, w.dilation_w);
    advance(Convolve(x, w, c.inputs[4], c.inputs[5], height, width), c.inputs[6], height, width,
            {double(p.expand_zero), double(p.expand_low), double(p.expand_high)});
  }
  const PlanBuilder::Shape& y = c.outputs[0].shape;
  const Window window = {p.kernel_h, p.kernel_w,   p.stride_h,   p.stride_w, p.pad_top,
                         p.pad_left, p.dilation_h, p.dilation_w, x.shape[3]};
  std::vector<int64_t> sums = Convolve(x, window, c.inputs[1], c.inputs[2], y[1], y[2]);
  if (!c.inputs[7].present()) return WithMean(Finish(sums, c.inputs[3], p, c.inputs[10], c.outputs[0]), c);
  advance(sums, c.inputs[3], y[1], y[2], {double(p.window_zero), double(p.window_low), double(p.window_high)});
  sums = Convolve(x, {1, 1, 1, 1, 0, 0, 1, 1, 1}, c.inputs[7], c.inputs[8], y[1], y[2]);
  return WithMean(Finish(sums, c.inputs[9], p, c.inputs[10], c.outputs[0]), c);
}

std::vector<Answer> SolveQdense(const Case& c) {
  const auto& p = c.As<gapcam::QdenseParams>();
  const Operand &x = c.inputs[0], &w = c.inputs[1], &bias = c.inputs[2];
  const uint32_t depth = w.shape[p.transposed ? 1 : 0], columns = w.shape[p.transposed ? 0 : 1];
  const size_t k_stride = p.transposed ? 1 : columns, n_stride = p.transposed ? depth : 1;
  std::vector<int64_t> sums;
  for (uint32_t i = 0; i < ElementsOf(x.shape) / depth * columns; ++i) {
    const uint32_t m = i / columns, n = i % columns;
    const int32_t* weights = &w.integers[n * n_stride];
    int64_t sum = !bias.present()
                      ? 0
                      : LimitedBias(bias.integers[n], weights, k_stride, depth, w.zero_point, x.type, x.zero_point);
    for (uint32_t k = 0; k < depth; ++k)
      sum += int64_t{x.integers[size_t{m} * depth + k] - x.zero_point} * (weights[k * k_stride] - w.zero_point);
    sums.push_back(sum);
  }
  return {Of(Finish(sums, c.inputs[3], p, c.inputs[4], c.outputs[0]))};
}

std::vector<Answer> SolveQbinary(const Case& c) {
  const auto& p = c.As<gapcam::QbinaryParams>();
  const Operand &x = c.inputs[0], &z = c.inputs[1], &y = c.outputs[0];
  // The element of an operand under element `i` of y.
  const auto under = [&y](const Operand& operand, uint32_t i) {
    size_t at = 0, stride = 1;
    for (size_t axis = 0; axis < y.shape.size(); ++axis) {
      const uint32_t size = y.shape[y.shape.size() - 1 - axis], index = i % size;
      i /= size;
      if (axis >= operand.shape.size()) continue;
      const uint32_t own = operand.shape[operand.shape.size() - 1 - axis];
      at += own == 1 ? 0 : index * stride;
      stride *= own;
    }
    return operand.integers[at];
  };
  std::vector<double> values;
  const double offset = Offset(y), multiplier = Single(Single(static_cast<double>(x.scale) * z.scale) / y.scale);
  for (uint32_t i = 0; i < ElementsOf(y.shape); ++i) {
    const int32_t a = under(x, i), b = under(z, i);
    if (p.op == gapcam::Binary::kAdd) {
      values.push_back(Add(AddendOf(x, a), AddendOf(z, b), y, p.low, p.high));
      continue;
    }
    const double product = Single(static_cast<double>(a - x.zero_point) * (b - z.zero_point) * multiplier);
    values.push_back(ToByte(Single(product + y.zero_point + offset), {0, p.low + offset, p.high + offset}) - offset);
  }
  return {Of(values)};
}

std::vector<Answer> SolveQpool(const Case& c) {
  const auto& p = c.As<gapcam::Qpool2dParams>();
  const Operand &x = c.inputs[0], &y = c.outputs[0];
  const int64_t height = x.shape[1], width = x.shape[2], channels = x.shape[3];
  std::vector<double> values;
  for (uint32_t i = 0; i < ElementsOf(y.shape); ++i) {
    const int64_t channel = i % channels, ox = i / channels % y.shape[2], oy = i / channels / y.shape[2] % y.shape[1];
    const int64_t image = i / channels / y.shape[2] / y.shape[1];
    double sum = 0;
    int64_t inside = 0, padded = 0;
    for (int64_t ky = 0; ky < p.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < p.kernel_w; ++kx) {
        const int64_t iy = oy * p.stride_h - p.pad_top + ky * p.dilation_h;
        const int64_t ix = ox * p.stride_w - p.pad_left + kx * p.dilation_w;
        padded += iy < height + p.pad_bottom && ix < width + p.pad_right;
        if (iy < 0 || ix < 0 || iy >= height || ix >= width) continue;
        ++inside;
        const int32_t byte = x.integers[static_cast<size_t>(((image * height + iy) * width + ix) * channels + channel)];
        sum = Single(sum + Single(static_cast<double>(byte - x.zero_point) * x.scale));
      }
    }
    const int64_t count = p.count_padding ? padded : inside;
    const double mean = Single(Single(sum / static_cast<double>(count > 0 ? count : 1)) / y.scale);
    const double offset = Offset(y);
    values.push_back(ToByte(Single(mean + y.zero_point + offset), {0, p.low + offset, p.high + offset}) - offset);
  }
  return {Of(values)};
}

// quantize, dequantize and lookup.
std::vector<Answer> SolveOneByte(const Case& c) {
  const Operand &x = c.inputs[0], &y = c.outputs[0];
  std::vector<double> values;
  for (uint32_t i = 0; i < ElementsOf(x.shape); ++i) {
    if (c.kind == StepKind::kLookup) {
      const int32_t byte = c.inputs[1].integers[static_cast<size_t>(x.integers[i] & 255)];
      values.push_back(y.type == PlanType::kInt8 && byte > 127 ? byte - 256 : byte);
    } else if (c.kind == StepKind::kDequantize) {
      values.push_back(Single(static_cast<double>(x.integers[i] - x.zero_point) * x.scale));
    } else {
      const double quotient = Single(static_cast<double>(x.values[i]) / y.scale);
      values.push_back(std::isnan(quotient) ? y.zero_point : ToByte(quotient, WholeRange(y)));
    }
  }
  return {Of(values)};
}

}  // namespace

std::vector<Answer> SolveQuantized(const Case& c) {
  switch (c.kind) {
    case StepKind::kQconv2d: return SolveQconv(c);
    case StepKind::kQdense: return SolveQdense(c);
    case StepKind::kQbinary: return SolveQbinary(c);
    case StepKind::kQpool2d: return SolveQpool(c);
    case StepKind::kQchain: return SolveQchain(c);
    case StepKind::kQreduce: {
      const auto& p = c.As<gapcam::QreduceParams>();
      const Operand &x = c.inputs[0], &y = c.outputs[0];
      return {Of(Means(PictureOf(x).values, x, y, p.outer, p.length, p.inner, RangeOf(y, p.low, p.high)))};
    }
    default: return SolveOneByte(c);
  }
}

}  // namespace gapcam_test
