// What must hold of any bytes that are taken for a plan, and a way of changing the bytes of a real one. Shared by the
// fuzzer (plan_fuzz.cc) and by the native tests, which run the kept corpus and some changes of it under each sanitizer.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "../kernels/op.h"
#include "../plan/executor.h"
#include "../plan/plan.h"

namespace gapcam_fuzz {

using namespace gapcam;

constexpr uint64_t kMostBytes = uint64_t{1} << 22;  // of arena and constants: more is slow and finds nothing new
constexpr uint64_t kMostWork = uint64_t{1} << 24;   // output elements times input elements, of all steps

// Bytes at a multiple of 16 that end where the allocation ends, so that the sanitizer sees a read beyond them.
struct Buffer {
  Buffer(const uint8_t* data, size_t size) : bytes(static_cast<uint8_t*>(std::malloc(size ? size : 1))) {
    std::memcpy(bytes, data, size);
  }
  ~Buffer() { std::free(bytes); }
  uint8_t* bytes;
};

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

inline void Refused(const Status& status) {
  if (status.message()[0] == '\0') std::abort();
}

inline void OpenAndRun(const Buffer& buffer, size_t size, const Target& target) {
  std::unique_ptr<Executor> executor;
  const Status status = Executor::Open(buffer.bytes, size, target, 1, &executor);
  if (!status.ok()) return Refused(status);
  for (const PlanPort& port : executor->plan().inputs) {
    auto* values = static_cast<uint8_t*>(executor->data(port.tensor));
    for (uint64_t i = 0; i < executor->plan().tensors[port.tensor].bytes; ++i) values[i] = static_cast<uint8_t>(i * 37);
  }
  executor->Run();
}

// What the reader refuses must be refused with a sentence; what it accepts must open and run, on the plain target and on
// this machine's best, within its own memory. True when it ran.
inline bool CheckPlanBytes(const uint8_t* data, size_t size) {
  const Buffer buffer(data, size);
  Plan plan;
  const Status status = ReadPlan(buffer.bytes, size, &plan);
  if (!status.ok()) {
    Refused(status);
    return false;
  }
  if (!IsSmall(plan)) return false;
  uint32_t count = 0;
  const Target* const* targets = Targets(&count);
  uint32_t best = 0;
  while (targets[best]->unsupported()) ++best;  // the last, the plain one, is always there
  OpenAndRun(buffer, size, *targets[count - 1]);
  if (best != count - 1) OpenAndRun(buffer, size, *targets[best]);
  return true;
}

// One to three words of the header, the tensors, the steps or their parameters become others that are likely to be taken.
// Constants, which may be anything, stay.
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
