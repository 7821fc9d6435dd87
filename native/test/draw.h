// Parts from which the random cases of cases.cc are drawn: operands, activations, windows and sizes.
#pragma once
#include "cases.h"

namespace gapcam_test {

// A dense input with values in [offset - scale, offset + scale).
Operand Draw(Random& random, const PlanBuilder::Shape& shape, bool is_constant = false, float scale = 1,
             float offset = 0);

// An output.
Operand Result(const PlanBuilder::Shape& shape);

struct DrawnActivation {
  gapcam::Elementwise op;
  float a, b;
};

// None, or one of the activations that a graph pass fuses, with parameters that models have.
DrawnActivation DrawActivation(Random& random);

// Sets the activation of a parameter block.
template <typename P>
void SetActivation(Random& random, P* p) {
  const DrawnActivation act = DrawActivation(random);
  p->activation = act.op;
  p->a = act.a;
  p->b = act.b;
}

// Sets kernel, stride, dilation and pads of a window. Pads stay below the kernel.
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

// The extent of a dilated kernel along one axis.
inline uint32_t Reach(uint32_t kernel, uint32_t dilation) { return (kernel - 1) * dilation + 1; }

// The outputs of a window along one axis. `reach` is its extent, `pads` the sum of both pads.
inline uint32_t OutSize(uint32_t size, uint32_t pads, uint32_t reach, uint32_t stride) {
  return (size + pads - reach) / stride + 1;
}

// The size of a picture into which a window fits. Small sizes are frequent, so that windows meet several borders at
// once.
uint32_t DrawSide(Random& random, uint32_t reach, uint32_t pads);

// Cases of the steps with a window, and of those that move elements.
Case DrawConv(Random& random);
Case DrawChain(Random& random);
Case DrawPool(Random& random);
Case DrawCopy(Random& random);
Case DrawConcat(Random& random);
Case DrawResample(Random& random);

// Cases of the kinds that compute on bytes.
Case DrawQuantized(gapcam::StepKind kind, Random& random);

}  // namespace gapcam_test
