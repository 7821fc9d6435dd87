// A plan as the reader returns it: every index, shape and offset is checked, so the code that uses it does not check
// again.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../status.h"
#include "step_table.h"

namespace gapcam {

// How a port's tensor relates to the order of the model file; kNhwc where the model itself says NCHW.
enum class PlanLayout : uint32_t { kNone, kNchw, kNhwc };

// A dense, row-major tensor of up to five dimensions, in the arena or among the constants.
struct PlanTensor {
  std::string name;
  PlanType type;
  bool is_constant;
  uint32_t rank;
  uint32_t dims[5];  // unused ones are 1
  uint32_t elements;
  uint64_t offset;  // in bytes, into the arena or the constants; a multiple of 64
  uint64_t bytes;   // elements times the bytes of the type
  // Of int8 and uint8: an element q stands for scale · (q - zero_point). 1 and 0 for other types.
  float scale;
  int32_t zero_point;
  const uint8_t* constant = nullptr;  // a constant's values, not owned, at any address; null once a session is open
};

// The least value of an int8 or uint8 element. The greatest is 255 more.
constexpr int32_t LeastByte(PlanType type) { return type == PlanType::kInt8 ? -128 : 0; }

// An input or output of the plan.
struct PlanPort {
  std::string name;
  uint32_t tensor;  // index into Plan::tensors
  PlanLayout layout;
};

// The index of an optional tensor that is absent.
constexpr uint32_t kAbsent = 0xffffffff;

// One operation. src/model/steps.ts lists the tensors and parameters of each kind.
struct PlanStep {
  StepKind kind;
  std::string name;
  std::vector<uint32_t> inputs, outputs;  // indices into Plan::tensors, or kAbsent
  std::vector<uint32_t> params;           // the kind's parameter block, word by word

  const StepShape& shape() const { return kStepShapes[static_cast<uint32_t>(kind)]; }

  // The parameters as the struct of this kind, such as Conv2dParams.
  template <typename Params>
  const Params& As() const {
    return *reinterpret_cast<const Params*>(params.data());
  }
};

// The compiled model: steps in order, their tensors, and the size of the arena that holds those that are not constant.
struct Plan {
  std::vector<PlanTensor> tensors;
  std::vector<PlanPort> inputs, outputs;
  std::vector<PlanStep> steps;
  uint64_t arena_bytes = 0;
};

// A part of the constants that is kept outside the plan's buffer: `bytes` holds what begins at `offset` of the
// constants.
struct ConstantChunk {
  uint64_t offset;
  const uint8_t* bytes;
  uint64_t size;
};

// Reads a plan's buffer (docs/plan-format.md) and checks all of it; the bytes may come from an attacker. `bytes` must
// be aligned to 4. If `chunks` is given, the buffer ends before its constants and the chunks, ordered by offset, hold
// them. The plan keeps pointers to its constants in `bytes` or in the chunks. Returns MODEL_INVALID with a sentence
// that names the tensor or step; `plan` is then incomplete.
Status ReadPlan(const uint8_t* bytes, size_t size, Plan* plan, const std::vector<ConstantChunk>* chunks = nullptr);

// Checks every step against its tensors (step_check.h). ReadPlan calls it.
Status CheckSteps(const Plan& plan);

}  // namespace gapcam
