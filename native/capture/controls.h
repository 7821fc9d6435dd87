// Reads and sets the controls of a V4L2 device (exposure, gain, focus …) while a stream goes on: a second descriptor may
// do that while the first one captures.
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
  bool is_active = true;  // false while another control overrides it, for example automatic exposure
  bool is_read_only = false;
  std::vector<ControlChoice> menu;
};

// The integer, boolean and menu controls of the device.
Status ReadControls(const std::string& path, std::vector<VideoControl>* controls);
// CAMERA_FORMAT where the driver refuses the value.
Status SetControl(const std::string& path, uint32_t id, int32_t value);

}  // namespace gapcam
