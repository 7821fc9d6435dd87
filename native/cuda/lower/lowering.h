// Lowering: a plan's steps, one after the other, become launches. Each family of steps is a file of its own.
#pragma once
#include <cstring>
#include <map>

#include "../program.h"

namespace gapcam {
namespace cuda {

// Where a value lies, and how many elements it has (0: it is not there).
struct Place {
  Memory memory = kActivations;
  uint64_t offset = 0;
  uint32_t elements = 0, element_bytes = 4;

  explicit operator bool() const { return elements > 0; }
};

inline uint32_t CeilDiv(uint64_t a, uint64_t b) { return static_cast<uint32_t>((a + b - 1) / b); }
inline uint32_t RoundUp(uint32_t a, uint32_t b) { return CeilDiv(a, b) * b; }
inline uint64_t AlignUp(uint64_t bytes) { return (bytes + 255) / 256 * 256; }  // where a block of memory may begin
Divisor DivideBy(uint32_t value);

// A convolution with all that is known of it: a step, a part of a chain, or a matrix product. Pooling is one without weights.
struct ConvSpec {
  WindowParams window = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1};
  Activation activation = {Elementwise::kNone, 0, 0};
  uint32_t groups = 1, batch = 1, height = 1, width = 1, channels = 1, features = 1, out_height = 1, out_width = 1;
  const PlanTensor *weights = nullptr, *bias = nullptr;
  bool is_transposed_matrix = false;  // weights are [depth][features], not [features][…]
  Place x, residual, y, pooled;
  const ConvSpec* before = nullptr;  // a depthwise convolution whose results this one multiplies as they come

  // The window, over the picture that is set, and the output's size that follows.
  void SetWindow(const WindowParams& w) {
    window = w;
    out_height = (height + w.pad_top + w.pad_bottom - (w.kernel_h - 1) * w.dilation_h - 1) / w.stride_h + 1;
    out_width = (width + w.pad_left + w.pad_right - (w.kernel_w - 1) * w.dilation_w - 1) / w.stride_w + 1;
  }
  uint32_t depth() const { return window.kernel_h * window.kernel_w * (channels / groups); }
  uint32_t pixels() const { return batch * out_height * out_width; }
  bool IsDepthwise() const { return groups == channels && features == channels && channels > 1; }
};

// Of a product: the side of its tiles, and how its depth is split.
struct Tiling {
  uint32_t tile, splits, depth_per_split;
};

class Lowering {
 public:
  Lowering(const Plan& plan, const Generation& generation, Program* program);
  Status Run();

 private:
  // --- memory
  uint32_t element_bytes() const { return is_half_ ? 2 : 4; }
  Place Of(uint32_t tensor);
  Place Of(const std::vector<uint32_t>& tensors, size_t i) {
    return i < tensors.size() && tensors[i] != kAbsent ? Of(tensors[i]) : Place();
  }
  // Where a step's kernel is to write its `i`-th result.
  Place ResultOf(const PlanStep& step, size_t i);
  const PlanTensor* TensorOf(uint32_t id) const { return id == kAbsent ? nullptr : &plan_.tensors[id]; }
  const PlanTensor* InputOf(const PlanStep& step, size_t i) const {
    return i < step.inputs.size() ? TensorOf(step.inputs[i]) : nullptr;
  }
  // Memory for one step's own use: its next step may have the same.
  Place Scratch(uint64_t elements, uint32_t bytes);
  Place ScratchLike(uint64_t elements) { return Scratch(elements, element_bytes()); }
  // Constants: elements 0 … count by a function, as the network's elements, floats, or integers.
  template <typename Value>
  Place Pack(uint32_t count, const Value& value);
  template <typename Value>
  Place PackFloats(uint32_t count, const Value& value);
  Place PackIndices(const PlanTensor& tensor);
  Place PackBias(const PlanTensor* bias);
  uint8_t* Grow(uint32_t count, uint32_t bytes, Place* place);

  // --- launches
  // `Params` with its Buffers, to be filled in and added.
  template <typename Params>
  struct Draft {
    Params p = {};
    std::vector<Patch> patches;

    void Put(Buffer* buffer, const Place& place) {
      if (!place) return;
      *buffer = {place.offset, place.elements, place.element_bytes};
      patches.push_back(
          {static_cast<uint32_t>(reinterpret_cast<uint8_t*>(buffer) - reinterpret_cast<uint8_t*>(&p)), place.memory});
    }

    // What the kernels' FinishSums is told, in `part` of p.
    template <typename Part>
    void PutFinish(Part* part, const ConvSpec& spec, const Place& bias, const Place& y) {
      Put(&part->bias, bias);
      Put(&part->residual, spec.residual);
      Put(&part->y, y);
      part->activation = spec.activation;
    }
  };
  template <typename Params>
  void Add(KernelId kernel, const Draft<Params>& draft, uint32_t x, uint32_t y = 1, uint32_t z = 1);
  template <typename Params>
  void AddThreads(KernelId single, KernelId half, const Draft<Params>& draft, uint64_t threads);
  KernelId Choose(KernelId single, KernelId half) const { return is_half_ ? half : single; }

  // --- steps
  Status LowerStep(const PlanStep& step);
  Status LowerConv(const PlanStep& step);
  Status LowerChain(const PlanStep& step);
  Status LowerDense(const PlanStep& step);
  void LowerPool(const PlanStep& step);
  void LowerReduce(const PlanStep& step);
  void LowerElementwise(const PlanStep& step);
  void LowerBinary(const PlanStep& step);
  void LowerProduct(const PlanStep& step);
  void LowerSoftmax(const PlanStep& step);
  void LowerLpNormalization(const PlanStep& step);
  void LowerLrn(const PlanStep& step);
  void LowerCopy(const PlanStep& step);
  void LowerConcat(const PlanStep& step);
  void LowerResample(const PlanStep& step);

  Status Convolve(const ConvSpec& spec);
  Status Multiply(const ConvSpec& spec);
  template <typename Params>
  Status MultiplyBy(const KernelId (&kernels)[3][2], const ConvSpec& spec, Draft<Params> draft);
  void SetProduct(const ConvSpec& spec, const Tiling& tiling, ConvParams* p) const;
  void AddSplits(const ConvSpec& spec, const Place& partial, const Place& bias, const Place& y, uint32_t splits);
  bool MayJoin(const ConvSpec& window, const ConvSpec& project) const;
  void Slide(const ConvSpec& spec);
  Status Maximum(const ConvSpec& spec);
  Place PackProduct(const ConvSpec& spec, uint32_t packed_depth, uint32_t packed_features);
  Place PackWindow(const ConvSpec& spec);
  void DenseRows(const ConvSpec& spec);
  void AddPool(const ConvSpec& spec, Pool op, uint32_t count_padding);
  SlideParams SlideOf(const ConvSpec& spec) const;
  void Mean(const Place& x, const Place& y, uint32_t outer, uint32_t length, uint32_t inner);
  void AlongLines(KernelId single, KernelId half, uint32_t op, uint32_t outer, uint32_t length, uint32_t inner,
                  const Place& x, const Place& y);
  Status Refuse(const char* why) const;

  // --- ports
  // A result of a step: kAbsent where there is none.
  struct Result {
    uint32_t step = kAbsent, index = 0;
  };
  Status TakeInputs();
  Status PlaceOutputs();
  Result FindWriter(uint32_t port) const;
  void GiveOutputs();

  const Plan& plan_;
  Program& program_;
  bool is_half_, has_mma_;
  uint32_t wanted_blocks_;
  uint32_t step_ = kAbsent;
  uint64_t scratch_at_ = 0;              // where the running step's next scratch begins
  std::map<uint32_t, Place> constants_;  // those that are read as they are
  std::vector<Result> writers_;          // of each output: whose kernel writes it to the host's memory itself
};

// The `i`-th value of a float constant, which may lie at any address.
inline float ValueAt(const PlanTensor& tensor, uint64_t i) {
  float value;
  std::memcpy(&value, tensor.constant + i * sizeof(value), sizeof(value));
  return value;
}

}  // namespace cuda
}  // namespace gapcam

#include "lowering.inl"
