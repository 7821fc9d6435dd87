#include "small_network.h"

#include "random.h"

namespace gapcam_test {
namespace {

using gapcam::Elementwise;
using gapcam::StepKind;

}  // namespace

SmallNetwork::SmallNetwork(bool has_map) {
  Random random(7);
  PlanBuilder plan;
  const auto weights = [&](const PlanBuilder::Shape& shape) {
    return plan.Constant(shape, random.Floats(ElementsOf(shape), 0.3f));
  };
  input = plan.Arena({1, kHeight, kWidth, 3});
  const uint32_t stem = plan.Arena({1, 17, 15, 24}), depth = plan.Arena({1, 17, 15, 24}),
                 wide = plan.Arena({1, 17, 15, 40});
  const uint32_t map = has_map ? plan.Arena({1, 17, 15, kPooled}) : gapcam::kAbsent;
  pooled = plan.Arena({1, 1, 1, kPooled});
  const uint32_t dense = plan.Arena({1, kClasses});
  logits = plan.Arena({1, kClasses});
  plan.Input(input);
  plan.Step(StepKind::kConv2d, {input, weights({24, 3, 3, 3}), weights({24})}, {stem}, Convolution(3, 2, 1));
  plan.Step(StepKind::kConv2d, {stem, weights({24, 1, 3, 3}), weights({24})}, {depth}, Convolution(3, 1, 24));
  plan.Step(StepKind::kConv2d, {depth, weights({40, 24, 3, 3}), weights({40})}, {wide}, Convolution(3, 1, 1));
  plan.Step(StepKind::kConv2d, {wide, weights({kPooled, 40, 1, 1}), weights({kPooled})}, {map, pooled},
            Convolution(1, 1, 1));
  plan.Step(StepKind::kDense, {pooled, weights({kClasses, kPooled}), weights({kClasses})}, {dense},
            gapcam::DenseParams{1, Elementwise::kNone, 0, 0});
  plan.Step(StepKind::kSoftmax, {dense}, {logits}, gapcam::SoftmaxParams{0, 1, kClasses, 1});
  plan.Output(logits);
  plan.Output(pooled);
  if (has_map) plan.Output(map);
  bytes = plan.Build();
}

}  // namespace gapcam_test
