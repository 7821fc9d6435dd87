// Program: a validated plan as launches of the kernels in kernels.def, for one generation of GPUs and one precision.
// It knows no driver. Whoever runs it takes the memory that it names, uploads its weights, binds the launches once, and
// then runs them in their order, on one stream: each reads what earlier ones wrote.
//
// Memory, each block at an address that is a multiple of 256:
//
//   activations   device, activation_bytes: the plan's arena (offsets of the plan, halved where elements are halves), then
//                 scratch. Its contents before a run do not matter.
//   weights       device, weights.size() bytes, uploaded once: every constant, packed as its kernel reads it
//   input         mapped host memory, input_bytes: the plan's inputs as float32, each at its port's offset
//   output        mapped host memory, output_bytes: the plan's outputs as float32, each at its port's offset; kernels write it
//                 once and never read it
//
// Binding: `params` of a launch holds offsets where addresses belong. Bind() adds the bases:
//
//   std::vector<uint8_t> params = launch.params;
//   Bind(launch, bases, params.data());        // bases[kActivations] … are device addresses
//   void* arguments[] = {params.data()};       // every kernel takes exactly one structure by value
//   cuLaunchKernel(functions[launch.kernel], launch.grid…, launch.block…, 0, stream, arguments, nullptr);
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "../plan/plan.h"
#include "kernels/params.h"

namespace gapcam {
namespace cuda {

enum class Precision : uint32_t { kFloat32, kFloat16 };

enum class KernelId : uint32_t {
#define GAPCAM_CUDA_KERNEL(name, params, precision, threads, first_sm, last_sm) name,
#include "kernels.def"
#undef GAPCAM_CUDA_KERNEL
};

struct KernelRow {
  const char* name;      // as in the cubin
  uint32_t param_bytes;  // of its one argument
  Precision precision;
  uint32_t threads;  // of a block, and its __launch_bounds__
  uint32_t first_sm, last_sm;
  bool IsIn(uint32_t sm) const { return sm >= first_sm && sm <= last_sm; }
};
extern const KernelRow kKernels[];
extern const uint32_t kKernelCount;

enum Memory : uint32_t { kActivations, kWeights, kInput, kOutput, kMemoryCount };

// A Buffer within the parameters whose address is still an offset into a block of memory.
struct Patch {
  uint32_t at;  // byte in params where the Buffer lies
  Memory memory;
};

struct Launch {
  KernelId kernel;
  uint32_t grid[3], block[3];
  std::vector<uint8_t> params;
  std::vector<Patch> patches;
  uint32_t step;  // of the plan, for messages; kAbsent for inputs and outputs
};

struct Port {
  uint32_t tensor;         // of the plan
  uint64_t offset, bytes;  // in the input or output block; float32 in the plan's own order
};

// What a program is made for.
struct Generation {
  uint32_t sm = 87;  // compute capability: 72, 87, 89, 90, 110
  Precision precision = Precision::kFloat16;
  uint32_t multiprocessors = 8;  // of the device: how much is cut up to keep them busy
};

struct Program {
  Generation generation;
  std::vector<Launch> launches;       // inputs first; last the outputs that no step's own kernel wrote
  std::vector<Port> inputs, outputs;  // in the plan's order
  std::vector<uint8_t> weights;       // may be dropped once uploaded
  uint64_t activation_bytes = 0, input_bytes = 0, output_bytes = 0;
};

// Lowers a plan that ReadPlan accepted and whose constants are at hand. ENGINE_UNAVAILABLE with one sentence where a step
// cannot be served: then the plan is refused as a whole.
Status BuildProgram(const Plan& plan, const Generation& generation, Program* program);

// Adds the bases to the offsets in `params`, a copy of launch.params.
void Bind(const Launch& launch, const uint64_t (&bases)[kMemoryCount], uint8_t* params);

}  // namespace cuda
}  // namespace gapcam
