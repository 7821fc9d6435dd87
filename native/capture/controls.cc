#include "controls.h"

#include <fcntl.h>
#include <linux/videodev2.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace gapcam {
namespace {

// Limits for drivers that list controls without end.
constexpr size_t kMost = 256;      // controls
constexpr int64_t kMostMenu = 64;  // entries of a menu

class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : fd_(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  bool is_open() const { return fd_ >= 0; }
  int Call(unsigned long request, void* argument) const {
    int result;
    do result = ioctl(fd_, request, argument);
    while (result < 0 && errno == EINTR);
    return result;
  }

 private:
  int fd_;
};

Status CannotOpen(const std::string& path, int error) {
  const char* code = error == EACCES || error == EPERM ? "CAMERA_PERMISSION" : "CAMERA_NOT_FOUND";
  return Status::Error(code, "camera %.100s cannot be opened: %s", path.c_str(), std::strerror(error));
}

bool KindOf(uint32_t type, ControlKind* kind) {
  switch (type) {
    case V4L2_CTRL_TYPE_INTEGER: *kind = ControlKind::kInteger; return true;
    case V4L2_CTRL_TYPE_BOOLEAN: *kind = ControlKind::kBoolean; return true;
    case V4L2_CTRL_TYPE_MENU: *kind = ControlKind::kMenu; return true;
    default: return false;
  }
}

std::string TextOf(const void* from, size_t most) {
  const char* text = static_cast<const char*>(from);
  return std::string(text, strnlen(text, most));
}

void ReadMenu(const Descriptor& device, VideoControl* control) {
  for (int64_t i = control->minimum; i <= control->maximum && i - control->minimum < kMostMenu; ++i) {
    v4l2_querymenu entry = {};
    entry.id = control->id, entry.index = static_cast<uint32_t>(i);
    // A menu may have gaps: EINVAL is an entry that this device does not have.
    if (device.Call(VIDIOC_QUERYMENU, &entry) == 0) control->menu.push_back({i, TextOf(entry.name, sizeof entry.name)});
  }
}

}  // namespace

Status ReadControls(const std::string& path, std::vector<VideoControl>* controls) {
  const Descriptor device(path);
  if (!device.is_open()) return CannotOpen(path, errno);
  v4l2_queryctrl query = {};
  query.id = V4L2_CTRL_FLAG_NEXT_CTRL;
  for (; controls->size() < kMost && device.Call(VIDIOC_QUERYCTRL, &query) == 0; query.id |= V4L2_CTRL_FLAG_NEXT_CTRL) {
    VideoControl control;
    if (query.flags & V4L2_CTRL_FLAG_DISABLED || !KindOf(query.type, &control.kind)) continue;
    v4l2_control current = {query.id, 0};
    if (device.Call(VIDIOC_G_CTRL, &current) < 0) continue;  // a button, or a control without a value
    control.id = query.id, control.name = TextOf(query.name, sizeof query.name);
    control.minimum = query.minimum, control.maximum = query.maximum, control.step = query.step;
    control.default_value = query.default_value, control.value = current.value;
    control.is_active = !(query.flags & (V4L2_CTRL_FLAG_INACTIVE | V4L2_CTRL_FLAG_GRABBED));
    control.is_read_only = query.flags & V4L2_CTRL_FLAG_READ_ONLY;
    if (control.kind == ControlKind::kMenu) ReadMenu(device, &control);
    controls->push_back(control);
  }
  return Status::Ok();
}

Status SetControl(const std::string& path, uint32_t id, int32_t value) {
  const Descriptor device(path);
  if (!device.is_open()) return CannotOpen(path, errno);
  v4l2_control control = {id, value};
  if (device.Call(VIDIOC_S_CTRL, &control) == 0) return Status::Ok();
  const int error = errno;
  const char* why = error == EINVAL   ? "there is no such control"
                    : error == ERANGE ? "the value is out of its range"
                    : error == EBUSY  ? "another program holds it"
                                      : std::strerror(error);
  return Status::Error("CAMERA_FORMAT", "camera %.100s does not take the control: %s", path.c_str(), why);
}

}  // namespace gapcam
