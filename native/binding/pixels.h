// What the pixel passes, the CPU's and the GPU's, take from JavaScript.
#pragma once
#include <napi.h>

#include <memory>

#include "../image/pixels.h"
#include "frame.h"

namespace gapcam {

// The spec of src/pixels/preprocess.ts's nativeSpec(); false where it is none.
bool ReadPixelSpec(const Napi::Value& value, PixelSpec* spec);

// A frame whose bytes are read on another thread, and what keeps them there: captured driver memory, or a Uint8Array.
struct GivenFrame {
  PixelSource source;
  std::shared_ptr<CaptureFrame> captured;
  Napi::ObjectReference pixels;

  // What a pass made of the frame, or FRAME_INVALID where its buffer went back to the camera meanwhile. Any thread.
  Status Outcome(const Status& pass) const;
};

// Reads ({format, width, height, stride}, pixels); false where they are none.
bool ReadFrame(const Napi::Value& frame, const Napi::Value& pixels, GivenFrame* given);

}  // namespace gapcam
