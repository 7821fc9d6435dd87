// The property that fuzzing checks of any bytes given to the plan reader, and a mutator for real plans. The fuzzer
// (plan_fuzz.cc) and the native tests share both; the tests run the kept corpus under each sanitizer.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "../kernels/op.h"
#include "../plan/executor.h"
#include "../plan/plan.h"

namespace gapcam_fuzz {

using namespace gapcam;

constexpr uint64_t kMostBytes = uint64_t{1}
                                << 22;             // of arena and constants; larger plans are slow and find nothing new
constexpr uint64_t kMostWork = uint64_t{1} << 24;  // output elements times input elements, summed over the steps

// A copy of the bytes, aligned to 16, that ends where its allocation ends: a sanitizer sees any read beyond it.
struct Buffer {
  Buffer(const uint8_t* data, size_t size) : bytes(static_cast<uint8_t*>(std::malloc(size ? size : 1))) {
    std::memcpy(bytes, data, size);
  }
  ~Buffer() { std::free(bytes); }
  uint8_t* bytes;
};

// Whether a plan is small enough to run in a fuzzing loop.
inline bool IsSmall(const Plan& plan) {
  uint64_t bytes = plan.arena_bytes, work = 0;
  for (const PlanTensor& tensor : plan.tensors) bytes += tensor.is_constant ? tensor.bytes : 0;
  for (const PlanStep& step : plan.steps) {
    uint64_t in = 1, out = 1;
    for (const uint32_t tensor : step.inputs) in += tensor == kAbsent ? 0 : plan.tensors[tensor].elements;
    for (const uint32_t tensor : step.outputs) out += tensor == kAbsent ? 0 : plan.tensors[tensor].elements;
    work += in * out;
  }
  return bytes <= kMostBytes && work <= kMostWork;
}

// A refusal must carry a message.
inline void Refused(const Status& status) {
  if (status.message()[0] == '\0') std::abort();
}

// No step computes with a packing, or with the scale and zero point of other tensors than bytes, so an accepted plan has
// none. Reads the raw bytes.
inline void ExpectNothingIgnored(const uint8_t* bytes, const Plan& plan) {
  constexpr size_t kHeader = 64, kTensor = 64, kPort = 16, kStep = 32;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    float scale;
    int32_t zero_point;
    std::memcpy(&scale, bytes + kHeader + i * kTensor + 40, sizeof(scale));
    std::memcpy(&zero_point, bytes + kHeader + i * kTensor + 44, sizeof(zero_point));
    const PlanType type = plan.tensors[i].type;
    const bool is_byte = type == PlanType::kInt8 || type == PlanType::kUint8;
    if (is_byte ? !(scale > 0) || zero_point < -128 || zero_point > 255 : scale != 1.0f || zero_point != 0)
      std::abort();
  }
  const size_t steps = kHeader + plan.tensors.size() * kTensor + (plan.inputs.size() + plan.outputs.size()) * kPort;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    uint32_t packing;
    std::memcpy(&packing, bytes + steps + i * kStep + 28, sizeof(packing));
    if (packing != 0) std::abort();
  }
}

// Whether every target must give the same bits: all steps work on bytes, or turn floats into bytes and back.
inline bool IsExact(const Plan& plan) {
  for (const PlanStep& step : plan.steps) {
    const bool is_byte = step.inputs[0] != kAbsent && step.outputs[0] != kAbsent &&
                         plan.tensors[step.inputs[0]].type != PlanType::kFloat32 &&
                         plan.tensors[step.outputs[0]].type != PlanType::kFloat32;
    if (!is_byte && step.kind != StepKind::kQuantize && step.kind != StepKind::kDequantize) return false;
  }
  return true;
}

// Opens the plan on one target, fills its inputs and runs it once. Returns the bytes of its outputs.
inline std::vector<uint8_t> OpenAndRun(const Buffer& buffer, size_t size, const Target& target) {
  std::vector<uint8_t> outputs;
  std::unique_ptr<Executor> executor;
  const Status status = Executor::Open(buffer.bytes, size, target, 1, &executor);
  if (!status.ok()) Refused(status);
  if (!status.ok()) return outputs;
  for (const PlanPort& port : executor->plan().inputs) {
    auto* values = static_cast<uint8_t*>(executor->data(port.tensor));
    for (uint64_t i = 0; i < executor->plan().tensors[port.tensor].bytes; ++i) values[i] = static_cast<uint8_t>(i * 37);
  }
  executor->Run();
  for (const PlanPort& port : executor->plan().outputs) {
    const auto* values = static_cast<const uint8_t*>(executor->data(port.tensor));
    outputs.insert(outputs.end(), values, values + executor->plan().tensors[port.tensor].bytes);
  }
  return outputs;
}

// The property: refused bytes are refused with a message. Accepted bytes hold nothing that a run would ignore, and open
// and run inside their memory on the scalar target and on this machine's best one, which compute the same bits where the
// steps are exact. Aborts when it does not hold.
// Returns true when the plan ran.
inline bool CheckPlanBytes(const uint8_t* data, size_t size) {
  const Buffer buffer(data, size);
  Plan plan;
  const Status status = ReadPlan(buffer.bytes, size, &plan);
  if (!status.ok()) {
    Refused(status);
    return false;
  }
  ExpectNothingIgnored(buffer.bytes, plan);
  if (!IsSmall(plan)) return false;
  uint32_t count = 0;
  const Target* const* targets = Targets(&count);
  uint32_t best = 0;
  while (targets[best]->unsupported()) ++best;  // ends at the last one, scalar, at the latest
  const std::vector<uint8_t> plain = OpenAndRun(buffer, size, *targets[count - 1]);
  if (best != count - 1 && OpenAndRun(buffer, size, *targets[best]) != plain && IsExact(plan)) std::abort();
  return true;
}

// Replaces one to three words of the header, the tensors, the steps or their parameters by values that the reader is
// likely to accept. Constants stay as they are, because any value is valid there.
template <typename Random>
void ChangeWords(uint8_t* data, size_t size, Random& random) {
  uint64_t end = 0;
  if (size >= 64) std::memcpy(&end, data + 48, sizeof(end));
  const size_t words = (end >= 64 && end <= size ? static_cast<size_t>(end) : size) / 4;
  if (words < 3) return;
  for (uint32_t changes = 1 + random() % 3; changes > 0; --changes) {
    const size_t at = (2 + random() % (words - 2)) * 4;
    uint32_t word = 0, other = 0;
    std::memcpy(&word, data + at, 4);
    std::memcpy(&other, data + random() % words * 4, 4);
    const uint32_t likely[] = {
        0,          1,        2,        3,        5,        7,         64,    0x7fffffff,
        0xffffffff, word + 1, word - 1, word * 2, word / 2, word + 64, other, word ^ (1u << random() % 32)};
    word = likely[random() % (sizeof(likely) / sizeof(likely[0]))];
    std::memcpy(data + at, &word, 4);
  }
}

}  // namespace gapcam_fuzz
