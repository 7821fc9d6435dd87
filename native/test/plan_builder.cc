#include "plan_builder.h"

namespace gapcam_test {
namespace {

uint64_t Align(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

// Appends fields in the byte order of the machine, which is little-endian on every machine that runs the tests.
class Writer {
 public:
  template <typename T>
  void Add(T value) {
    const auto* from = reinterpret_cast<const uint8_t*>(&value);
    bytes.insert(bytes.end(), from, from + sizeof(value));
  }

  std::vector<uint8_t> bytes;
};

}  // namespace

uint32_t ElementsOf(const PlanBuilder::Shape& shape) {
  uint32_t elements = 1;
  for (uint32_t size : shape) elements *= size;
  return elements;
}

uint32_t PlanBuilder::Arena(const Shape& shape, const Elements& elements) {
  const uint64_t bytes = uint64_t{ElementsOf(shape)} * gapcam::kPlanTypeBytes[static_cast<size_t>(elements.type)];
  tensors_.push_back({elements, false, shape, arena_bytes_, bytes});
  arena_bytes_ += Align(bytes) + 64;
  return static_cast<uint32_t>(tensors_.size()) - 1;
}

uint32_t PlanBuilder::Over(uint32_t tensor, const Shape& shape, const Elements& elements) {
  const uint64_t bytes = uint64_t{ElementsOf(shape)} * gapcam::kPlanTypeBytes[static_cast<size_t>(elements.type)];
  tensors_.push_back({elements, false, shape, tensors_[tensor].offset, bytes});
  return static_cast<uint32_t>(tensors_.size()) - 1;
}

uint32_t PlanBuilder::Constant(const Shape& shape, const std::vector<float>& values) {
  return AddConstant({}, shape, values.data(), values.size() * sizeof(values[0]));
}

uint32_t PlanBuilder::Constant(const Shape& shape, const std::vector<int32_t>& values, const Elements& elements) {
  if (elements.type == gapcam::PlanType::kInt32)
    return AddConstant(elements, shape, values.data(), values.size() * sizeof(values[0]));
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  return AddConstant(elements, shape, bytes.data(), bytes.size());
}

uint32_t PlanBuilder::AddConstant(const Elements& elements, const Shape& shape, const void* values, size_t bytes) {
  constants_.resize(Align(constants_.size()));
  tensors_.push_back({elements, true, shape, constants_.size(), bytes});
  const auto* from = static_cast<const uint8_t*>(values);
  constants_.insert(constants_.end(), from, from + bytes);
  return static_cast<uint32_t>(tensors_.size()) - 1;
}

std::vector<uint8_t> PlanBuilder::Build() const {
  std::string names;
  const auto add_name = [&names](Writer& out, const std::string& name) {
    out.Add(static_cast<uint32_t>(names.size()));
    out.Add(static_cast<uint32_t>(name.size()));
    names += name;
  };
  Writer tensors, ports, steps, words;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor& t = tensors_[i];
    tensors.Add(static_cast<uint8_t>(t.elements.type));
    tensors.Add(static_cast<uint8_t>(t.is_constant));
    tensors.Add(static_cast<uint16_t>(t.shape.size()));
    for (size_t axis = 0; axis < 5; ++axis) tensors.Add(axis < t.shape.size() ? t.shape[axis] : uint32_t{1});
    tensors.Add(t.offset);
    tensors.Add(t.bytes);
    tensors.Add(t.elements.scale);
    tensors.Add(t.elements.zero_point);
    add_name(tensors, "t" + std::to_string(i));
    tensors.Add(uint64_t{0});
  }
  for (const auto* list : {&inputs_, &outputs_}) {
    for (uint32_t tensor : *list) {
      ports.Add(tensor);
      add_name(ports, (list == &inputs_ ? "in" : "out") + std::to_string(tensor));
      ports.Add(uint32_t{0});
    }
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    const StepRow& s = steps_[i];
    const auto first = static_cast<uint32_t>(words.bytes.size() / 4);
    for (const auto* list : {&s.inputs, &s.outputs, &s.params}) {
      for (uint32_t word : *list) words.Add(word);
    }
    const auto count = static_cast<uint32_t>(words.bytes.size() / 4) - first;
    for (uint32_t field : {static_cast<uint32_t>(s.kind), static_cast<uint32_t>(s.inputs.size()),
                           static_cast<uint32_t>(s.outputs.size()), first, count}) {
      steps.Add(field);
    }
    add_name(steps, "step" + std::to_string(i));
    steps.Add(uint32_t{0});
  }
  Writer out;
  const size_t sections =
      tensors.bytes.size() + ports.bytes.size() + steps.bytes.size() + words.bytes.size() + names.size();
  const uint64_t constants_at = Align(64 + sections);
  for (uint32_t field : {uint32_t{0x4e4c5047}, uint32_t{1}, static_cast<uint32_t>(tensors_.size()),
                         static_cast<uint32_t>(inputs_.size()), static_cast<uint32_t>(outputs_.size()),
                         static_cast<uint32_t>(steps_.size()), static_cast<uint32_t>(words.bytes.size() / 4),
                         static_cast<uint32_t>(names.size())}) {
    out.Add(field);
  }
  for (uint64_t field : {arena_bytes_, uint64_t{constants_.size()}, constants_at, uint64_t{0}}) out.Add(field);
  for (const Writer* section : {&tensors, &ports, &steps, &words})
    out.bytes.insert(out.bytes.end(), section->bytes.begin(), section->bytes.end());
  out.bytes.insert(out.bytes.end(), names.begin(), names.end());
  out.bytes.resize(constants_at);
  out.bytes.insert(out.bytes.end(), constants_.begin(), constants_.end());
  return out.bytes;
}

gapcam::Conv2dParams Convolution(uint32_t kernel, uint32_t stride, uint32_t groups) {
  gapcam::Conv2dParams p = {};
  p.kernel_h = p.kernel_w = kernel;
  p.stride_h = p.stride_w = stride;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = kernel / 2;
  p.dilation_h = p.dilation_w = 1;
  p.groups = groups;
  p.activation = gapcam::Elementwise::kRelu;
  return p;
}

}  // namespace gapcam_test
