// Declares every function of driver.def under its symbol, and the checks at the start of each.
#pragma once
#include "state.h"

namespace gapcam::cuda::fake {

// Whether a stream of this process is capturing. Many calls are forbidden during a capture, and invalidate it.
bool IsForbiddenNow();

// Whether a handle is valid: it is in `live`, a set or a map of handles.
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
