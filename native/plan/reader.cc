// Reads a plan's buffer (docs/plan-format.md) into a Plan. The buffer may come from an attacker: the reader compares
// every count with the bytes that exist before it reads them, and bounds the factors of every product first.
// It refuses fields that no step computes with, so that a plan never means more than this build does with it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "plan.h"

namespace gapcam {
namespace {

constexpr char kInvalid[] = "MODEL_INVALID";
constexpr uint32_t kMagic = 0x4e4c5047, kVersion = 1;
constexpr uint64_t kHeaderBytes = 64, kTensorBytes = 64, kPortBytes = 16, kStepBytes = 32;
constexpr uint64_t kMaxMemory = uint64_t{1} << 31;

template <typename T>
T ReadAt(const uint8_t* bytes, uint64_t at) {
  T value;
  std::memcpy(&value, bytes + at, sizeof(value));
  return value;
}

// Counts and byte positions of the buffer's sections, from its header.
struct Sections {
  uint32_t tensors, inputs, outputs, steps, words, string_bytes;
  uint64_t tensors_at, ports_at, steps_at, words_at, strings_at, constants_at, constant_bytes, arena_bytes;
};

// Reads one buffer. Each method reads one record and returns the first error; `plan` is incomplete after an error.
class Reader {
 public:
  Reader(const uint8_t* bytes, size_t size, Plan* plan, const std::vector<ConstantChunk>* chunks)
      : bytes_(bytes), size_(size), plan_(*plan), chunks_(chunks) {}

  Status Read() {
    Status status = ReadHeader();
    for (uint32_t i = 0; status.ok() && i < s_.tensors; ++i) status = ReadTensor(i);
    for (uint32_t i = 0; status.ok() && i < s_.inputs + s_.outputs; ++i) status = ReadPort(i);
    for (uint32_t i = 0; status.ok() && i < s_.steps; ++i) status = ReadStep(i);
    return status.ok() ? CheckSteps(plan_) : status;
  }

 private:
  Status ReadHeader() {
    if (size_ < kHeaderBytes) return Status::Error(kInvalid, "the plan has %zu bytes, fewer than its header", size_);
    // Constants are read in place as floats, so the buffer must be aligned for them.
    if (reinterpret_cast<uintptr_t>(bytes_) % alignof(float) != 0)
      return Status::Error(kInvalid, "the plan's address is not a multiple of 4 bytes");
    if (ReadAt<uint32_t>(bytes_, 0) != kMagic) return Status::Error(kInvalid, "these bytes are not a plan");
    const uint32_t version = ReadAt<uint32_t>(bytes_, 4);
    if (version != kVersion)
      return Status::Error(kInvalid, "the plan has version %u, this build reads %u", version, kVersion);
    uint32_t* const counts[] = {&s_.tensors, &s_.inputs, &s_.outputs, &s_.steps, &s_.words, &s_.string_bytes};
    for (int i = 0; i < 6; ++i) *counts[i] = ReadAt<uint32_t>(bytes_, 8 + 4 * i);
    s_.arena_bytes = ReadAt<uint64_t>(bytes_, 32);
    s_.constant_bytes = ReadAt<uint64_t>(bytes_, 40);
    s_.constants_at = ReadAt<uint64_t>(bytes_, 48);
    // Every count is below 2^32, so these sums stay below 2^40 and cannot overflow.
    s_.tensors_at = kHeaderBytes;
    s_.ports_at = s_.tensors_at + s_.tensors * kTensorBytes;
    s_.steps_at = s_.ports_at + (uint64_t{s_.inputs} + s_.outputs) * kPortBytes;
    s_.words_at = s_.steps_at + s_.steps * kStepBytes;
    s_.strings_at = s_.words_at + uint64_t{s_.words} * 4;
    const uint64_t end = s_.strings_at + s_.string_bytes;
    const bool is_whole = s_.constants_at >= end && s_.constants_at <= size_ && s_.constants_at % 64 == 0 &&
                          s_.constant_bytes == size_ - s_.constants_at;
    if (end > size_ || !(chunks_ ? s_.constants_at == 0 : is_whole)) {
      return Status::Error(kInvalid, "the plan's sections do not fit into its %zu bytes", size_);
    }
    if (s_.arena_bytes > kMaxMemory)
      return Status::Error(kInvalid, "the plan needs %llu bytes of memory, more than 2 GiB",
                           static_cast<unsigned long long>(s_.arena_bytes));
    if (ReadAt<uint64_t>(bytes_, 56) != 0) return Status::Error(kInvalid, "the plan's header has reserved bytes set");
    plan_.arena_bytes = s_.arena_bytes;
    return Status::Ok();
  }

  Status ReadName(uint64_t at, std::string* name) {
    const uint32_t from = ReadAt<uint32_t>(bytes_, at), length = ReadAt<uint32_t>(bytes_, at + 4);
    if (uint64_t{from} + length > s_.string_bytes)
      return Status::Error(kInvalid, "a name in the plan lies outside its strings");
    name->assign(reinterpret_cast<const char*>(bytes_ + s_.strings_at + from), length);
    return Status::Ok();
  }

  Status ReadTensor(uint32_t index) {
    const uint64_t at = s_.tensors_at + index * kTensorBytes;
    PlanTensor tensor;
    Status status = ReadName(at + 48, &tensor.name);
    if (!status.ok()) return status;
    const uint8_t type = bytes_[at], storage = bytes_[at + 1];
    tensor.rank = bytes_[at + 2];
    if (type >= kPlanTypeCount || storage > 1 || tensor.rank > 5)
      return Refuse(index, tensor, "has an unknown type, storage or rank");
    tensor.type = static_cast<PlanType>(type);
    tensor.is_constant = storage == 1;
    uint64_t elements = 1;
    for (uint32_t i = 0; i < 5; ++i) {
      const uint32_t size = tensor.dims[i] = ReadAt<uint32_t>(bytes_, at + 4 + 4 * i);
      if (size == 0 || (i >= tensor.rank && size != 1))
        return Refuse(index, tensor, "has a size of 0, or a size beyond its rank");
      elements *= size;
      if (elements >= kMaxMemory) return Refuse(index, tensor, "is too large");
    }
    tensor.elements = static_cast<uint32_t>(elements);
    tensor.offset = ReadAt<uint64_t>(bytes_, at + 24);
    tensor.bytes = ReadAt<uint64_t>(bytes_, at + 32);
    const uint64_t room = tensor.is_constant ? s_.constant_bytes : s_.arena_bytes;
    if (tensor.bytes != elements * kPlanTypeBytes[type])
      return Refuse(index, tensor, "has a byte length that does not match its sizes");
    if (tensor.offset % 64 != 0 || tensor.offset > room || tensor.bytes > room - tensor.offset)
      return Refuse(index, tensor, "does not lie inside its memory");
    tensor.scale = ReadAt<float>(bytes_, at + 40);
    tensor.zero_point = ReadAt<int32_t>(bytes_, at + 44);
    status = CheckScale(index, tensor);
    if (!status.ok()) return status;
    if (bytes_[at + 3] != 0 || ReadAt<uint64_t>(bytes_, at + 56) != 0)
      return Refuse(index, tensor, "has reserved bytes set");
    if (tensor.is_constant) tensor.constant = FindConstant(tensor);
    if (tensor.is_constant && !tensor.constant) return Refuse(index, tensor, "has no values");
    plan_.tensors.push_back(static_cast<PlanTensor&&>(tensor));
    return Status::Ok();
  }

  // Only bytes have a scale and a zero point. A subnormal scale would be 0 while a frame is computed.
  Status CheckScale(uint32_t index, const PlanTensor& tensor) {
    const bool is_byte = tensor.type == PlanType::kInt8 || tensor.type == PlanType::kUint8;
    const int32_t least = LeastByte(tensor.type);
    const bool is_right = is_byte ? std::isnormal(tensor.scale) && tensor.scale > 0 && tensor.zero_point >= least &&
                                        tensor.zero_point <= least + 255
                                  : tensor.scale == 1.0f && tensor.zero_point == 0;
    if (is_right) return Status::Ok();
    return Status::Error(kInvalid, "tensor %u (%.60s) of type %s has scale %g and zero point %d", index,
                         tensor.name.c_str(), kPlanTypeNames[static_cast<uint32_t>(tensor.type)],
                         static_cast<double>(tensor.scale), tensor.zero_point);
  }

  // The address of a constant's values: in the buffer, or in the chunk that holds all of them. Null if no chunk does.
  const uint8_t* FindConstant(const PlanTensor& tensor) const {
    if (!chunks_) return bytes_ + s_.constants_at + tensor.offset;
    // The last chunk that begins at or before the constant.
    const auto after =
        std::upper_bound(chunks_->begin(), chunks_->end(), tensor.offset,
                         [](uint64_t offset, const ConstantChunk& chunk) { return offset < chunk.offset; });
    if (after == chunks_->begin()) return nullptr;
    const ConstantChunk& chunk = *(after - 1);
    const uint64_t at = tensor.offset - chunk.offset;
    return at <= chunk.size && tensor.bytes <= chunk.size - at ? chunk.bytes + at : nullptr;
  }

  Status Refuse(uint32_t index, const PlanTensor& tensor, const char* why) {
    return Status::Error(kInvalid, "tensor %u (%.60s) %s", index, tensor.name.c_str(), why);
  }

  Status ReadPort(uint32_t index) {
    const uint64_t at = s_.ports_at + index * kPortBytes;
    PlanPort port;
    Status status = ReadName(at + 4, &port.name);
    if (!status.ok()) return status;
    port.tensor = ReadAt<uint32_t>(bytes_, at);
    const uint32_t layout = ReadAt<uint32_t>(bytes_, at + 12);
    const bool is_input = index < s_.inputs;
    if (port.tensor >= plan_.tensors.size() || layout > 2)
      return Status::Error(kInvalid, "port %.60s of the plan has an unknown tensor or layout", port.name.c_str());
    if (is_input && plan_.tensors[port.tensor].is_constant)
      return Status::Error(kInvalid, "input %.60s of the plan is a constant", port.name.c_str());
    port.layout = static_cast<PlanLayout>(layout);
    (is_input ? plan_.inputs : plan_.outputs).push_back(static_cast<PlanPort&&>(port));
    return Status::Ok();
  }

  Status ReadStep(uint32_t index) {
    const uint64_t at = s_.steps_at + index * kStepBytes;
    PlanStep step;
    Status status = ReadName(at + 20, &step.name);
    if (!status.ok()) return status;
    const uint32_t kind = ReadAt<uint32_t>(bytes_, at), inputs = ReadAt<uint32_t>(bytes_, at + 4),
                   outputs = ReadAt<uint32_t>(bytes_, at + 8);
    const uint32_t words_at = ReadAt<uint32_t>(bytes_, at + 12), words = ReadAt<uint32_t>(bytes_, at + 16);
    if (kind >= kStepKindCount) return Refuse(step, "has an unknown kind");
    if (ReadAt<uint32_t>(bytes_, at + 28) != 0)
      return Refuse(step, "has a packing of its weights; this build supports only 0, the order of the model");
    const StepShape& shape = kStepShapes[kind];
    if (inputs < shape.min_inputs || inputs > shape.max_inputs || outputs < shape.min_outputs ||
        outputs > shape.max_outputs)
      return Refuse(step, "has the wrong number of tensors");
    if (uint64_t{words_at} + words > s_.words || words != inputs + outputs + shape.param_words)
      return Refuse(step, "has the wrong number of parameter words");
    step.kind = static_cast<StepKind>(kind);
    const uint64_t from = s_.words_at + uint64_t{words_at} * 4;
    for (uint32_t i = 0; i < words; ++i) {
      const uint32_t word = ReadAt<uint32_t>(bytes_, from + 4 * i);
      (i < inputs ? step.inputs : i < inputs + outputs ? step.outputs : step.params).push_back(word);
    }
    for (uint32_t id : step.inputs)
      if (id != kAbsent && id >= plan_.tensors.size()) return Refuse(step, "reads a tensor that does not exist");
    for (uint32_t id : step.outputs) {
      if (id != kAbsent && (id >= plan_.tensors.size() || plan_.tensors[id].is_constant))
        return Refuse(step, "writes a tensor that does not exist, or a constant");
    }
    if (!EnumsInRange(step.kind, step.params.data())) return Refuse(step, "has a parameter with an unknown value");
    plan_.steps.push_back(static_cast<PlanStep&&>(step));
    return Status::Ok();
  }

  Status Refuse(const PlanStep& step, const char* why) {
    return Status::Error(kInvalid, "step %.80s %s", step.name.c_str(), why);
  }

  const uint8_t* bytes_;
  size_t size_;
  Plan& plan_;
  const std::vector<ConstantChunk>* chunks_;
  Sections s_ = {};
};

}  // namespace

Status ReadPlan(const uint8_t* bytes, size_t size, Plan* plan, const std::vector<ConstantChunk>* chunks) {
  return Reader(bytes, size, plan, chunks).Read();
}

}  // namespace gapcam
