// Naive solutions of conv2d, dense and product.
#include "naive.h"

namespace gapcam_test {

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

}  // namespace gapcam_test
