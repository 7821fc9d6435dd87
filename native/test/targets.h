// The CPU targets that this machine can run, for tests that hold for each of them.
#pragma once
#include "../kernels/op.h"

namespace gapcam_test {

// Calls check(target) for every compiled-in target that this machine supports, the best one first.
template <typename Check>
void ForEachUsableTarget(const Check& check) {
  uint32_t count = 0;
  const gapcam::Target* const* targets = gapcam::Targets(&count);
  for (uint32_t i = 0; i < count; ++i)
    if (!targets[i]->unsupported()) check(*targets[i]);
}

#if defined(__x86_64__)
// Targets of VNNI with emulated instructions (emulated_*.cc), for machines that have AVX2. A build has those that
// GAPCAM_EMULATED names.
extern const gapcam::Target kEmulatedAvxVnni, kEmulatedAvx512Vnni;
#endif

// The same with emulated targets: for tests of steps on integers.
template <typename Check>
void ForEachIntegerTarget(const Check& check) {
  ForEachUsableTarget(check);
#if defined(__x86_64__)
#if defined(GAPCAM_EMULATES_AVXVNNI)
  if (!kEmulatedAvxVnni.unsupported()) check(kEmulatedAvxVnni);
#endif
#if defined(GAPCAM_EMULATES_AVX512VNNI)
  if (!kEmulatedAvx512Vnni.unsupported()) check(kEmulatedAvx512Vnni);
#endif
#endif
}

// The scalar target, which runs on every machine.
inline const gapcam::Target& ScalarTarget() {
  uint32_t count = 0;
  const gapcam::Target* const* targets = gapcam::Targets(&count);
  return *targets[count - 1];
}

}  // namespace gapcam_test
