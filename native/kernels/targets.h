// The compiled-in targets. Each is one translation unit in targets/, built for its own instruction set.
#pragma once
#include "op.h"

namespace gapcam {

extern const Target kTargetReference;
#if defined(__x86_64__)
extern const Target kTargetAvx2;
extern const Target kTargetAvxVnni;
extern const Target kTargetAvx512;
extern const Target kTargetAvx512Vnni;
#elif defined(__aarch64__)
extern const Target kTargetNeon;
extern const Target kTargetNeonDot;
extern const Target kTargetNeonHalf;
#endif

// Why this machine cannot run a target, or null if it can. Defined in dispatch.cc, which is compiled for the baseline.
const char* AlwaysSupported();
const char* Avx2Unsupported();
const char* AvxVnniUnsupported();
const char* Avx512Unsupported();
const char* Avx512VnniUnsupported();
const char* NeonDotUnsupported();
const char* NeonHalfUnsupported();

}  // namespace gapcam
