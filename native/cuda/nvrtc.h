// NVRTC, NVIDIA's compiler as a library, if the machine has it. It compiles kernels for generations without a shipped
// cubin.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "../status.h"

namespace gapcam::cuda {

// Compiles the text of a CUDA C++ file to a cubin. `options` are those of NVRTC and name the include folders.
// ENGINE_UNAVAILABLE without NVRTC, or with its first error message if it refuses the source.
Status CompileKernels(const std::string& source, const std::vector<std::string>& options, std::vector<uint8_t>* cubin);

// The version of NVRTC as major · 100 + minor; 0 without NVRTC.
int NvrtcVersion();

}  // namespace gapcam::cuda
