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

// The scalar target, which runs on every machine.
inline const gapcam::Target& ScalarTarget() {
  uint32_t count = 0;
  const gapcam::Target* const* targets = gapcam::Targets(&count);
  return *targets[count - 1];
}

}  // namespace gapcam_test
