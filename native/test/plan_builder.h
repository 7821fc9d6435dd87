// PlanBuilder writes the buffer of a plan as src/model/plan.ts does, so that native tests do not need Node.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../plan/plan.h"

namespace gapcam_test {

// The element type of a tensor, and the scale and zero point of bytes.
struct Elements {
  gapcam::PlanType type = gapcam::PlanType::kFloat32;
  float scale = 1;
  int32_t zero_point = 0;
};

// Collects tensors and steps. Methods that add a tensor return its index.
class PlanBuilder {
 public:
  using Shape = std::vector<uint32_t>;

  // Adds a tensor in the arena, followed by 64 unused bytes.
  uint32_t Arena(const Shape& shape, const Elements& elements = {});
  // Adds a tensor at the arena offset of another one.
  uint32_t Over(uint32_t tensor, const Shape& shape, const Elements& elements = {});
  // Adds a float32 constant, or one of integers.
  uint32_t Constant(const Shape& shape, const std::vector<float>& values);
  uint32_t Constant(const Shape& shape, const std::vector<int32_t>& values,
                    const Elements& elements = {gapcam::PlanType::kInt32});

  // Makes a tensor an input or an output of the plan.
  void Input(uint32_t tensor) { inputs_.push_back(tensor); }
  void Output(uint32_t tensor) { outputs_.push_back(tensor); }

  // Adds a step, with its parameters as the struct of its kind or as words.
  template <typename Params>
  void Step(gapcam::StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs,
            const Params& params) {
    std::vector<uint32_t> words(sizeof(Params) / 4);
    std::memcpy(words.data(), &params, sizeof(Params));
    StepWords(kind, inputs, outputs, words);
  }
  void StepWords(gapcam::StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs,
                 const std::vector<uint32_t>& params) {
    steps_.push_back({kind, inputs, outputs, params});
  }

  // The plan's buffer.
  std::vector<uint8_t> Build() const;

 private:
  struct Tensor {
    Elements elements;
    bool is_constant;
    Shape shape;
    uint64_t offset, bytes;
  };
  struct StepRow {
    gapcam::StepKind kind;
    std::vector<uint32_t> inputs, outputs, params;
  };

  uint32_t AddConstant(const Elements& elements, const Shape& shape, const void* values, size_t bytes);

  std::vector<Tensor> tensors_;
  std::vector<StepRow> steps_;
  std::vector<uint32_t> inputs_, outputs_;
  std::vector<uint8_t> constants_;
  uint64_t arena_bytes_ = 64;
};

// The number of elements of a shape.
uint32_t ElementsOf(const PlanBuilder::Shape& shape);

// A square convolution with ReLU. Its padding is half its kernel.
gapcam::Conv2dParams Convolution(uint32_t kernel, uint32_t stride, uint32_t groups);

}  // namespace gapcam_test
