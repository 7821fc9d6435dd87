// A V4L2 device's own controls (exposure, gain, focus …), read and set beside a stream that goes on: a second descriptor
// may do that while the first one captures.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "../status.h"

namespace gapcam {

enum class ControlKind { kInteger, kBoolean, kMenu };

struct ControlChoice {
  int64_t value;
  std::string name;
};

struct VideoControl {
  uint32_t id = 0;
  std::string name;
  ControlKind kind = ControlKind::kInteger;
  int64_t minimum = 0, maximum = 0, step = 1, default_value = 0, value = 0;
  bool is_active = true;  // false while another control decides, such as automatic exposure
  bool is_read_only = false;
  std::vector<ControlChoice> menu;
};

// The integer, boolean and menu controls that the device has; none where it has none.
Status ReadControls(const std::string& path, std::vector<VideoControl>* controls);
// An error with CAMERA_FORMAT where the driver does not take the value.
Status SetControl(const std::string& path, uint32_t id, int32_t value);

}  // namespace gapcam
