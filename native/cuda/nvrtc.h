// NVRTC, NVIDIA's compiler as a library, where the machine has it: kernels for a generation that no cubin is shipped for.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "../status.h"

namespace gapcam::cuda {

// Compiles CUDA C++ to a cubin. Options are NVRTC's own; `source` is a whole file's text, what it includes is read from
// the folders that they name. ENGINE_UNAVAILABLE where there is no NVRTC or it refuses, with its first complaint.
Status CompileKernels(const std::string& source, const std::vector<std::string>& options, std::vector<uint8_t>* cubin);

// major · 100 + minor of the NVRTC that CompileKernels would use; 0 where there is none.
int NvrtcVersion();

}  // namespace gapcam::cuda
