// The compiled-in targets. Each is one translation unit in targets/, built for its own instruction set.
#pragma once
#include "op.h"

namespace gapcam {

extern const Target kTargetReference;
#if defined(__x86_64__)
extern const Target kTargetAvx2;
extern const Target kTargetAvx512;
#elif defined(__aarch64__)
extern const Target kTargetNeon;
#endif

// Why this machine cannot run a target, or null if it can. Defined in dispatch.cc, which is compiled for the baseline.
const char* AlwaysSupported();
const char* Avx2Unsupported();
const char* Avx512Unsupported();

}  // namespace gapcam
