// A plan's buffer as bytes that a test reads and changes. Offsets are those of docs/plan-format.md.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace gapcam_test {

using Bytes = std::vector<uint8_t>;

// Byte offsets of fields that tests change. Tensor and step fields count from the start of their record.
constexpr size_t kPlanHeaderBytes = 64, kPlanTensorBytes = 64, kPlanStepBytes = 32;

// The value of type T at a byte offset.
template <typename T>
T Get(const Bytes& bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

// Overwrites the value at a byte offset.
template <typename T>
void Put(Bytes* bytes, size_t at, T value) {
  std::memcpy(bytes->data() + at, &value, sizeof(value));
}

// A copy of `bytes` with one value changed.
template <typename T>
Bytes With(Bytes bytes, size_t at, T value) {
  Put(&bytes, at, value);
  return bytes;
}

// Where the constants begin. The bytes before them decide where a run reads and writes.
inline size_t ConstantsAt(const Bytes& plan) { return static_cast<size_t>(Get<uint64_t>(plan, 48)); }

// Where the first step's record begins: behind the tensors and the ports.
inline size_t StepsAt(const Bytes& plan) {
  const uint32_t tensors = Get<uint32_t>(plan, 8), inputs = Get<uint32_t>(plan, 12), outputs = Get<uint32_t>(plan, 16);
  return kPlanHeaderBytes + tensors * kPlanTensorBytes + (inputs + outputs) * 16;
}

}  // namespace gapcam_test
