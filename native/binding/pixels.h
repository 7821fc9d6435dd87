// What the pixel passes of the CPU and of the GPU read from JavaScript.
#pragma once
#include <napi.h>

#include <memory>

#include "../image/pixels.h"
#include "../plan/plan.h"
#include "frame.h"

namespace gapcam {

// Reads the spec that nativeSpec() in src/pixels/preprocess.ts makes. Returns false for any other value.
bool ReadPixelSpec(const Napi::Value& value, PixelSpec* spec);

// A frame whose bytes another thread reads, and the owner of the bytes: captured driver memory or a Uint8Array.
struct GivenFrame {
  PixelSource source;
  std::shared_ptr<CaptureFrame> captured;
  Napi::ObjectReference pixels;

  // The status of a pass over the frame, or FRAME_INVALID if the camera took the buffer back meanwhile. Any thread.
  Status Outcome(const Status& pass) const;
};

// Reads ({format, width, height, stride}, pixels). Returns false for other values.
bool ReadFrame(const Napi::Value& frame, const Napi::Value& pixels, GivenFrame* given);

// The pass of a JavaScript PixelPass; null for another object.
std::shared_ptr<PixelPass> PassOf(const Napi::Value& value);

// What a pass of this spec writes: the type and the number of its elements.
PlanType ElementTypeOf(const PixelSpec& spec);
inline size_t ElementsOf(const PixelSpec& spec) { return size_t{3} * spec.width * spec.height; }

}  // namespace gapcam
