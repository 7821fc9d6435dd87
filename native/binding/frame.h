// The frame objects that capture hands to JavaScript, as the pixel path takes them.
#pragma once
#include <napi.h>

#include <memory>

#include "../capture/v4l2.h"

namespace gapcam {

// The captured frame behind a JavaScript object, or null when it is none or has been released.
std::shared_ptr<CaptureFrame> FrameOf(const Napi::Value& value);

}  // namespace gapcam
