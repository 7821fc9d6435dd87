// Lowering: turns the steps of a plan into launches, one step after the other. Each family of steps has its own file:
// conv.cc, chain.cc, plain.cc; ports.cc has the inputs and outputs.
#pragma once
#include <cstring>
#include <map>

#include "../program.h"

namespace gapcam {
namespace cuda {

// Bytes of one element, by the generated step table.
constexpr uint32_t BytesOf(PlanType type) { return kPlanTypeBytes[static_cast<uint32_t>(type)]; }
constexpr uint32_t kFloatBytes = BytesOf(PlanType::kFloat32), kHalfBytes = BytesOf(PlanType::kFloat16);

// The memory of a value, and its number of elements (0: the value is absent).
struct Place {
  Memory memory = kActivations;
  uint64_t offset = 0;
  uint32_t elements = 0, element_bytes = kFloatBytes;

  explicit operator bool() const { return elements > 0; }
};

inline uint32_t CeilDiv(uint64_t a, uint64_t b) { return static_cast<uint32_t>((a + b - 1) / b); }
inline uint32_t RoundUp(uint32_t a, uint32_t b) { return CeilDiv(a, b) * b; }
// Rounds up to the alignment of memory blocks.
inline uint64_t AlignUp(uint64_t bytes) { return (bytes + 255) / 256 * 256; }
// The divisor that the kernels' Divide and Split take.
Divisor DivideBy(uint32_t value);

// A convolution: a step, a part of a chain, or a matrix product. Pooling is a convolution without weights.
struct ConvSpec {
  WindowParams window = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1};
  Activation activation = {Elementwise::kNone, 0, 0};
  uint32_t groups = 1, batch = 1, height = 1, width = 1, channels = 1, features = 1, out_height = 1, out_width = 1;
  const PlanTensor *weights = nullptr, *bias = nullptr;
  bool is_transposed_matrix = false;  // weights are [depth][features], not [features][…]
  Place x, residual, y, pooled;
  const ConvSpec* before = nullptr;  // a depthwise convolution that the same kernel computes first

  // Sets the window and computes the size of the output. Height and width must be set before.
  void SetWindow(const WindowParams& w) {
    window = w;
    out_height = (height + w.pad_top + w.pad_bottom - (w.kernel_h - 1) * w.dilation_h - 1) / w.stride_h + 1;
    out_width = (width + w.pad_left + w.pad_right - (w.kernel_w - 1) * w.dilation_w - 1) / w.stride_w + 1;
  }
  uint32_t depth() const { return window.kernel_h * window.kernel_w * (channels / groups); }
  uint32_t pixels() const { return batch * out_height * out_width; }
  bool IsDepthwise() const { return groups == channels && features == channels && channels > 1; }
};

// The side of a product's tiles, and the split of its depth.
struct Tiling {
  uint32_t tile, splits, depth_per_split;
};

class Lowering {
 public:
  // Writes to `program`. It must be empty; all arguments must outlive the lowering.
  Lowering(const Plan& plan, const Generation& generation, Program* program);
  // Lowers the whole plan. ENGINE_UNAVAILABLE with a sentence if a step cannot be served.
  Status Run();

 private:
  // --- memory
  // Bytes of one element of an activation on the device.
  uint32_t element_bytes() const { return is_half_ ? kHalfBytes : kFloatBytes; }
  // The plan lays out its arena in float32. An offset or size of it, for the element type on the device.
  uint64_t OnDevice(uint64_t arena_bytes) const { return arena_bytes / kFloatBytes * element_bytes(); }
  Place Of(uint32_t tensor);
  Place Of(const std::vector<uint32_t>& tensors, size_t i) {
    return i < tensors.size() && tensors[i] != kAbsent ? Of(tensors[i]) : Place();
  }
  // The memory to which a step's kernel writes its `i`-th result.
  Place ResultOf(const PlanStep& step, size_t i);
  const PlanTensor* TensorOf(uint32_t id) const { return id == kAbsent ? nullptr : &plan_.tensors[id]; }
  const PlanTensor* InputOf(const PlanStep& step, size_t i) const {
    return i < step.inputs.size() ? TensorOf(step.inputs[i]) : nullptr;
  }
  // Memory that only the current step uses. The next step may get the same memory.
  Place Scratch(uint64_t elements, uint32_t bytes);
  Place ScratchLike(uint64_t elements) { return Scratch(elements, element_bytes()); }
  // Appends a constant of `count` elements to the weights: value(i) in the network's element type, or as floats.
  template <typename Value>
  Place Pack(uint32_t count, const Value& value);
  template <typename Value>
  Place PackFloats(uint32_t count, const Value& value);
  Place PackIndices(const PlanTensor& tensor);
  Place PackBias(const PlanTensor* bias);
  uint8_t* Grow(uint32_t count, uint32_t bytes, Place* place);

  // --- launches
  // The parameters of a launch that is being prepared.
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

    // Sets what the kernels' FinishSums reads, in `part` of p.
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
  bool UsesIntegers(const PlanStep& step) const;
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
  // A result of a step; step is kAbsent if there is none.
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
  uint64_t scratch_at_ = 0;              // offset of the current step's next scratch memory
  std::map<uint32_t, Place> constants_;  // constants that were appended without packing, by tensor
  std::vector<Result> writers_;          // for each output: the result whose kernel writes it to the host's memory
};

// The `i`-th value of a float constant. Its address may be unaligned.
inline float ValueAt(const PlanTensor& tensor, uint64_t i) {
  float value;
  std::memcpy(&value, tensor.constant + i * sizeof(value), sizeof(value));
  return value;
}

}  // namespace cuda
}  // namespace gapcam

#include "lowering.inl"
