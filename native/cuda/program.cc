#include "program.h"

#include <cstring>

#include "lower/lowering.h"

namespace gapcam {
namespace cuda {

const KernelRow kKernels[] = {
#define GAPCAM_CUDA_KERNEL(name, params, precision, threads, first_sm, last_sm) \
  {#name, sizeof(params), Precision::precision, threads, first_sm, last_sm},
#include "kernels.def"
#undef GAPCAM_CUDA_KERNEL
};
const uint32_t kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

void Bind(const Launch& launch, const uint64_t (&bases)[kMemoryCount], uint8_t* params) {
  for (const Patch& patch : launch.patches) {
    uint64_t address;
    std::memcpy(&address, params + patch.at, sizeof(address));
    address += bases[patch.memory];
    std::memcpy(params + patch.at, &address, sizeof(address));
  }
}

Status BuildProgram(const Plan& plan, const Generation& generation, Program* program) {
  if (generation.sm < 50 || (generation.precision == Precision::kFloat16 && generation.sm < 70)) {
    return Status::Error("ENGINE_UNAVAILABLE", "sm_%u has no kernels of this precision", generation.sm);
  }
  *program = Program();
  program->generation = generation;
  return Lowering(plan, generation, program).Run();
}

}  // namespace cuda
}  // namespace gapcam
