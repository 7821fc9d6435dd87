// A small convolutional network with a global-average-pooling head, as a plan.
#pragma once
#include "plan_builder.h"
#include "plan_bytes.h"

namespace gapcam_test {

// Stem 3×3 stride 2, depthwise 3×3, 3×3, and a pointwise convolution with its mean fused into it; then a dense layer
// and a softmax. Weights are drawn from a fixed seed.
struct SmallNetwork {
  static constexpr uint32_t kHeight = 33, kWidth = 29, kPooled = 70, kClasses = 10;

  // With has_map the last convolution also writes its feature map, which is then a third output.
  explicit SmallNetwork(bool has_map);

  Bytes bytes;                     // the plan
  uint32_t input, pooled, logits;  // indices of its tensors: [1,33,29,3], [1,1,1,70], [1,10]
};

}  // namespace gapcam_test
