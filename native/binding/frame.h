// The frame objects that capture passes to JavaScript, as the pixel path takes them.
#pragma once
#include <napi.h>

#include <memory>

#include "../capture/v4l2.h"

namespace gapcam {

// The captured frame of a JavaScript object; null if it is another object or has been released.
std::shared_ptr<CaptureFrame> FrameOf(const Napi::Value& value);

// The error for a frame whose buffer the camera took back before its pixels were read.
inline Status FrameReclaimed() {
  return Status::Error("FRAME_INVALID", "the frame was held too long and the camera took its buffer back");
}

}  // namespace gapcam
