// Program: a validated plan as launches of the kernels in kernels.def, for one generation of GPUs and one precision. It
// does not depend on the driver. To run it: allocate the memory that it names, upload the weights, bind the launches
// once, and run them in order on one stream, because each reads what earlier launches wrote.
//
// Memory, each block aligned to 256 bytes:
//
//   activations   device, activation_bytes: the plan's arena (offsets are halved for half precision), then scratch.
//                 Its contents before a run do not matter.
//   weights       device, weights.size() bytes, uploaded once: every constant, packed for its kernel
//   input         mapped host memory, input_bytes: the plan's inputs as float32, each at its port's offset
//   output        mapped host memory, output_bytes: the plan's outputs as float32, each at its port's offset.
//                 Kernels write each value once and never read it.
//
// Binding: the Buffers in `params` of a launch hold offsets instead of addresses. Bind() adds the base addresses:
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

// A row of kernels.def.
struct KernelRow {
  const char* name;      // as in the cubin
  uint32_t param_bytes;  // size of its one argument
  Precision precision;
  uint32_t threads;  // of a block, as in its __launch_bounds__
  uint32_t first_sm, last_sm;
  bool IsIn(uint32_t sm) const { return sm >= first_sm && sm <= last_sm; }
};
extern const KernelRow kKernels[];
extern const uint32_t kKernelCount;

enum Memory : uint32_t { kActivations, kWeights, kInput, kOutput, kMemoryCount };

// A Buffer in the parameters whose address is still an offset into a block of memory.
struct Patch {
  uint32_t at;  // byte offset of the Buffer in params
  Memory memory;
};

struct Launch {
  KernelId kernel;
  uint32_t grid[3], block[3];
  std::vector<uint8_t> params;
  std::vector<Patch> patches;
  uint32_t step;  // index of the plan's step, for messages; kAbsent for inputs and outputs
};

struct Port {
  uint32_t tensor;         // index into the plan's tensors
  uint64_t offset, bytes;  // in the input or output block; float32 in the plan's own order
};

// The device that a program is made for.
struct Generation {
  uint32_t sm = 87;  // compute capability: 72, 87, 89, 90, 110
  Precision precision = Precision::kFloat16;
  uint32_t multiprocessors = 8;  // the depth of products is split to keep all of them busy
};

struct Program {
  Generation generation;
  std::vector<Launch> launches;       // inputs first; conversions of outputs last
  std::vector<Port> inputs, outputs;  // in the plan's order
  std::vector<uint8_t> weights;       // not needed after the upload
  uint64_t activation_bytes = 0, input_bytes = 0, output_bytes = 0;
};

// Lowers a plan that ReadPlan accepted and whose constants are in memory. ENGINE_UNAVAILABLE with a sentence if a step
// cannot be served; the whole plan is then refused.
Status BuildProgram(const Plan& plan, const Generation& generation, Program* program);

// Adds the base addresses to the offsets in `params`, which is a copy of launch.params.
void Bind(const Launch& launch, const uint64_t (&bases)[kMemoryCount], uint8_t* params);

}  // namespace cuda
}  // namespace gapcam
