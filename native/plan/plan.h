// A plan as the reader left it: every index, shape and place checked, so that nothing behind it checks again.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../status.h"
#include "step_table.h"

namespace gapcam {

enum class PlanLayout : uint32_t { kNone, kNchw, kNhwc };

struct PlanTensor {
  std::string name;
  PlanType type;
  bool is_constant;
  uint32_t rank;
  uint32_t dims[5];  // unused ones are 1
  uint32_t elements;
  uint64_t offset;  // into the arena or the constants
  uint64_t bytes;
  const uint8_t* constant = nullptr;  // where a constant's values lie, at any address
};

struct PlanPort {
  std::string name;
  uint32_t tensor;
  PlanLayout layout;
};

constexpr uint32_t kAbsent = 0xffffffff;

struct PlanStep {
  StepKind kind;
  std::string name;
  std::vector<uint32_t> inputs, outputs;  // kAbsent for an optional tensor that is not there
  std::vector<uint32_t> params;           // the kind's parameter block, word by word

  template <typename Params>
  const Params& As() const {
    return *reinterpret_cast<const Params*>(params.data());
  }
};

struct Plan {
  std::vector<PlanTensor> tensors;
  std::vector<PlanPort> inputs, outputs;
  std::vector<PlanStep> steps;
  uint64_t arena_bytes = 0;
};

// Constants apart from the plan's buffer: `bytes` is what begins at `offset` of the plan's constants.
struct ConstantChunk {
  uint64_t offset;
  const uint8_t* bytes;
  uint64_t size;
};

// Reads a plan's buffer (docs/plan-format.md), trusting nothing in it. `bytes` must lie at a multiple of 4. `plan` points
// at its constants: into `bytes`, or into the chunks (in the order of their offsets) of a plan that comes without them.
Status ReadPlan(const uint8_t* bytes, size_t size, Plan* plan, const std::vector<ConstantChunk>* chunks = nullptr);

// Checks every step against its tensors; part of ReadPlan.
Status CheckSteps(const Plan& plan);

}  // namespace gapcam
