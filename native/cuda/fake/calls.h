// Declares every call of driver.def under its symbol, and what each of them begins with.
#pragma once
#include "state.h"

namespace gapcam::cuda::fake {

// Whether a stream of this process records: many calls are forbidden meanwhile, and end the recording.
bool IsForbiddenNow();

// A handle that is alive in `live`, a set or a map of them.
template <typename Live, typename Object>
bool IsLive(const Live& live, Object* object, const char* call) {
  if (live.count(object) > 0) return true;
  Violation("%s is given a handle that is not alive", call);
  return false;
}

}  // namespace gapcam::cuda::fake

namespace gapcam::cuda::fake::api {

#define GAPCAM_CUDA_CALL(name, symbol, parameters) \
  __attribute__((visibility("default"))) Result name parameters __asm__(symbol);
#include "../driver.def"
#undef GAPCAM_CUDA_CALL

}  // namespace gapcam::cuda::fake::api

#define CALL(symbol, needs_context)                         \
  const std::lock_guard<std::mutex> lock(TheState().mutex); \
  if (const Result refused = Begin(symbol, needs_context)) return refused

#define FORBIDDEN_IN_CAPTURE() \
  if (IsForbiddenNow()) return kCaptureUnsupported
