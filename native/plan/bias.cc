// Keeps the sums of integer steps inside int32. Every target uses the same clamped biases, so all give the same bits.
#include "bias.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace gapcam {
namespace {

constexpr int64_t kLeastSum = INT32_MIN, kMostSum = INT32_MAX;

// Inputs of a step: the weights, and the bias behind them. `zero_point` is that of the bytes that meet the weights.
struct Product {
  uint32_t weights;
  int32_t zero_point;
};

// The weights of one product, [features][depth] or [depth][features].
class Weights {
 public:
  Weights(const TensorRef& tensor, bool is_transposed)
      : data_(static_cast<const uint8_t*>(tensor.data)),
        is_signed_(tensor.type == PlanType::kInt8),
        zero_point_(tensor.zero_point),
        features_(tensor.dims[is_transposed ? 1 : 0]),
        depth_(tensor.elements / features_),
        feature_stride_(is_transposed ? 1 : depth_),
        depth_stride_(is_transposed ? features_ : 1) {}

  uint32_t features() const { return features_; }
  uint32_t depth() const { return depth_; }

  // The least and the greatest sum of feature `f` over bytes that are `below` to `above` of their zero point.
  void Bounds(uint32_t f, int32_t below, int32_t above, int64_t* low, int64_t* high) const {
    *low = *high = 0;
    const uint8_t* at = data_ + size_t{f} * feature_stride_;
    for (uint32_t k = 0; k < depth_; ++k, at += depth_stride_) {
      const int32_t w = (is_signed_ ? static_cast<int8_t>(*at) : *at) - zero_point_;
      *low += int64_t{w} * (w > 0 ? below : above);
      *high += int64_t{w} * (w > 0 ? above : below);
    }
  }

 private:
  const uint8_t* data_;
  bool is_signed_;
  int32_t zero_point_;
  uint32_t features_, depth_;
  size_t feature_stride_, depth_stride_;
};

void Limit(const StepRef& step, const Product& product, bool is_transposed) {
  const uint32_t at = product.weights;
  const TensorRef* tensor = at < step.input_count ? step.inputs[at] : nullptr;
  const TensorRef* bias = at + 1 < step.input_count ? step.inputs[at + 1] : nullptr;
  if (!tensor || !bias) return;
  const Weights weights(*tensor, is_transposed);
  const int32_t least = step.inputs[0]->type == PlanType::kInt8 ? -128 : 0;
  const int32_t below = least - product.zero_point, above = least + 255 - product.zero_point;
  // Bytes and weights are at most 255 from their zero points. Nearly every bias is small enough for this bound.
  const int64_t most = int64_t{255} * 255 * weights.depth();
  auto* values = static_cast<int32_t*>(bias->data);
  for (uint32_t f = 0; f < weights.features(); ++f) {
    if (std::llabs(values[f]) + most <= kMostSum) continue;
    int64_t low, high;
    weights.Bounds(f, below, above, &low, &high);
    values[f] = static_cast<int32_t>(std::clamp<int64_t>(values[f], kLeastSum - low, kMostSum - high));
  }
}

}  // namespace

void LimitBiases(const StepRef& step) {
  const int32_t x_zero = step.inputs[0]->zero_point;
  if (step.kind == StepKind::kQconv2d) return Limit(step, {1, x_zero}, false);
  if (step.kind == StepKind::kQdense)
    return Limit(step, {1, x_zero}, !static_cast<const QdenseParams*>(step.params)->transposed);
  if (step.kind != StepKind::kQchain) return;
  const auto& p = *static_cast<const QchainParams*>(step.params);
  const bool expands = step.input_count > 4 && step.inputs[4];
  Limit(step, {4, x_zero}, false);
  Limit(step, {1, expands ? p.expand_zero : x_zero}, false);
  Limit(step, {7, p.window_zero}, false);
}

}  // namespace gapcam
