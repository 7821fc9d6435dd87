#include "v4l2.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace gapcam {
namespace {

// In order of what they cost: first those that the pixel path reads, MJPEG last, since it must be decoded.
constexpr uint32_t kPreferred[] = {V4L2_PIX_FMT_YUYV,   V4L2_PIX_FMT_UYVY,  V4L2_PIX_FMT_NV12,
                                   V4L2_PIX_FMT_YUV420, V4L2_PIX_FMT_RGB24, V4L2_PIX_FMT_BGR24,
                                   V4L2_PIX_FMT_GREY,   V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_JPEG};
constexpr uint32_t kBuffers = 4;
constexpr uint64_t kHoldNs = 500000000;  // a frame held for longer, while the driver has no buffer, is taken back

int Ioctl(int fd, unsigned long request, void* argument) {
  int result;
  do result = ioctl(fd, request, argument);
  while (result < 0 && errno == EINTR);
  return result;
}

const char* CodeOf(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return "CAMERA_PERMISSION";
    case EBUSY: return "CAMERA_BUSY";
    case ENOENT:
    case ENXIO:
    case ENODEV:
    case ENOTDIR: return "CAMERA_NOT_FOUND";
    default: return "CAMERA_LOST";
  }
}

uint64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

}  // namespace

CaptureFrame::~CaptureFrame() { capture_->Release(this); }

Status Capture::Fault(const char* code, const char* what, int error) const {
  return Status::Error(code, "camera %.100s: %s%s%s", path_.c_str(), what, error ? ": " : "",
                       error ? std::strerror(error) : "");
}

Status Capture::Open(const CaptureRequest& request) {
  path_ = request.path;
  stall_ms_ = request.stall_ms;
  fd_ = open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd_ < 0) return Fault(CodeOf(errno), "cannot be opened", errno);
  v4l2_capability capability = {};
  if (Ioctl(fd_, VIDIOC_QUERYCAP, &capability) < 0) return Fault("CAMERA_NOT_FOUND", "is not a V4L2 device", 0);
  const uint32_t caps =
      capability.capabilities & V4L2_CAP_DEVICE_CAPS ? capability.device_caps : capability.capabilities;
  if (!(caps & V4L2_CAP_VIDEO_CAPTURE) || !(caps & V4L2_CAP_STREAMING))
    return Fault("CAMERA_FORMAT", "does not capture single-plane video by streaming", 0);
  format_.card = reinterpret_cast<const char*>(capability.card);
  Status status = ChooseFormat(request);
  if (status.ok()) status = MapBuffers();
  if (!status.ok()) return status;
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { Loop(); });
  return Status::Ok();
}

Status Capture::ChooseFormat(const CaptureRequest& request) {
  uint32_t chosen = 0;
  size_t rank = sizeof(kPreferred) / sizeof(kPreferred[0]);
  v4l2_fmtdesc offered = {};
  for (offered.type = V4L2_BUF_TYPE_VIDEO_CAPTURE; Ioctl(fd_, VIDIOC_ENUM_FMT, &offered) == 0; ++offered.index) {
    for (size_t i = 0; i < rank; ++i)
      if (kPreferred[i] == offered.pixelformat) chosen = offered.pixelformat, rank = i;
  }
  // Keep a usable format that is already set: a user may have chosen it with v4l2-ctl.
  v4l2_format format = {};
  format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  if (Ioctl(fd_, VIDIOC_G_FMT, &format) == 0) {
    for (uint32_t known : kPreferred)
      if (known == format.fmt.pix.pixelformat && known != V4L2_PIX_FMT_MJPEG && known != V4L2_PIX_FMT_JPEG)
        chosen = known;
  }
  if (!chosen) return Fault("CAMERA_FORMAT", "offers no pixel format that gapcam reads", 0);
  format.fmt.pix.pixelformat = chosen;
  format.fmt.pix.width = request.width;
  format.fmt.pix.height = request.height;
  format.fmt.pix.bytesperline = 0;
  format.fmt.pix.field = V4L2_FIELD_ANY;
  if (Ioctl(fd_, VIDIOC_S_FMT, &format) < 0) return Fault(CodeOf(errno), "does not take a format", errno);
  if (format.fmt.pix.pixelformat != chosen)
    return Fault("CAMERA_FORMAT", "answers with another pixel format than it offers", 0);
  format_.fourcc = chosen, format_.width = format.fmt.pix.width, format_.height = format.fmt.pix.height,
  format_.stride = format.fmt.pix.bytesperline;
  v4l2_streamparm rate = {};
  rate.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  if (request.fps > 0) {
    rate.parm.capture.timeperframe = {1000, static_cast<uint32_t>(request.fps * 1000)};
    Ioctl(fd_, VIDIOC_S_PARM, &rate);  // many drivers have one rate; the answer below says which
  } else {
    Ioctl(fd_, VIDIOC_G_PARM, &rate);
  }
  const v4l2_fract& period = rate.parm.capture.timeperframe;
  format_.fps = period.numerator ? double(period.denominator) / period.numerator : 0;
  return Status::Ok();
}

Status Capture::MapBuffers() {
  v4l2_requestbuffers request = {};
  request.count = kBuffers;
  request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  request.memory = V4L2_MEMORY_MMAP;
  if (Ioctl(fd_, VIDIOC_REQBUFS, &request) < 0)
    return Fault(CodeOf(errno), errno == ENOMEM ? "has no memory for buffers (CMA exhausted?)" : "gives no buffers",
                 errno);
  for (uint32_t i = 0; i < request.count; ++i) {
    v4l2_buffer buffer = {};
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, buffer.memory = V4L2_MEMORY_MMAP, buffer.index = i;
    if (Ioctl(fd_, VIDIOC_QUERYBUF, &buffer) < 0) return Fault(CodeOf(errno), "does not describe its buffers", errno);
    void* start = mmap(nullptr, buffer.length, PROT_READ, MAP_SHARED, fd_, buffer.m.offset);
    if (start == MAP_FAILED) return Fault("CAMERA_LOST", "does not map its buffers", errno);
    buffers_.push_back({start, buffer.length});
    if (Ioctl(fd_, VIDIOC_QBUF, &buffer) < 0) return Fault(CodeOf(errno), "does not take its buffers", errno);
  }
  int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  if (Ioctl(fd_, VIDIOC_STREAMON, &type) < 0) return Fault(CodeOf(errno), "does not start streaming", errno);
  return Status::Ok();
}

void Capture::Loop() {
  uint64_t last_ns = NowNs();
  for (;;) {
    pollfd fds[] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    const int ready = poll(fds, 2, 200);
    Status status;
    if (ready > 0 && fds[0].revents & POLLIN) {
      status = Dequeue();
      last_ns = NowNs();
    } else if (ready > 0 && fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)) {
      status = Fault("CAMERA_LOST", "has gone or stopped", 0);
    } else if (NowNs() - last_ns > kHoldNs && Reclaim()) {
      last_ns = NowNs();
    } else if (NowNs() - last_ns > uint64_t(stall_ms_) * 1000000) {
      status = Fault("CAMERA_STALLED", "delivers no frames", 0);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    if (!status.ok()) fault_ = status;
    if (is_closed_ || !fault_.ok()) break;
  }
  changed_.notify_all();
}

Status Capture::Dequeue() {
  v4l2_buffer buffer = {};
  buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, buffer.memory = V4L2_MEMORY_MMAP;
  if (Ioctl(fd_, VIDIOC_DQBUF, &buffer) < 0)
    return errno == EAGAIN ? Status::Ok() : Fault("CAMERA_LOST", "gives no frame", errno);
  if (buffer.flags & V4L2_BUF_FLAG_ERROR || buffer.bytesused == 0) {
    Ioctl(fd_, VIDIOC_QBUF, &buffer);
    dropped_.fetch_add(1);
    return Status::Ok();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  ++seq_;
  if (has_newest_) {
    Ioctl(fd_, VIDIOC_QBUF, &newest_);
    dropped_.fetch_add(1);
  }
  newest_ = buffer;
  has_newest_ = true;
  changed_.notify_all();
  return Status::Ok();
}

Status Capture::Take(std::unique_ptr<CaptureFrame>* frame) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return has_newest_ || is_closed_ || !fault_.ok(); });
  if (is_closed_) return Fault("CAMERA_LOST", "is closed", 0);
  if (!has_newest_) return fault_;
  has_newest_ = false;
  const bool is_monotonic = (newest_.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
  const uint64_t ns =
      is_monotonic ? uint64_t(newest_.timestamp.tv_sec) * 1000000000u + uint64_t(newest_.timestamp.tv_usec) * 1000u
                   : NowNs();
  const Buffer& buffer = buffers_[newest_.index];
  frame->reset(new CaptureFrame(shared_from_this(), newest_.index, static_cast<const uint8_t*>(buffer.start),
                                newest_.bytesused, ns, seq_));
  held_.push_back(frame->get());
  ++frames_;
  return Status::Ok();
}

void Capture::Release(const CaptureFrame* frame) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < held_.size(); ++i) {
    if (held_[i] == frame) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (!frame->is_reclaimed()) Requeue(frame->index_);
  if (--frames_ == 0 && is_closed_) Unmap();
}

// A mapping holds the device open: one that was unplugged cannot come back before.
void Capture::Unmap() {
  for (const Buffer& buffer : buffers_) munmap(buffer.start, buffer.length);
  buffers_.clear();
}

// Takes the oldest held frame back where the driver has no buffer left to fill.
bool Capture::Reclaim() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (held_.empty() || held_.size() + (has_newest_ ? 1 : 0) < buffers_.size()) return false;
  CaptureFrame* oldest = held_.front();
  held_.erase(held_.begin());
  oldest->is_reclaimed_.store(true, std::memory_order_release);
  Requeue(oldest->index_);
  reclaimed_.fetch_add(1);
  return true;
}

void Capture::Requeue(uint32_t index) {
  if (is_closed_ || !fault_.ok()) return;
  v4l2_buffer buffer = {};
  buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, buffer.memory = V4L2_MEMORY_MMAP, buffer.index = index;
  Ioctl(fd_, VIDIOC_QBUF, &buffer);
}

void Capture::Close() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (is_closed_) return;
    is_closed_ = true;
  }
  changed_.notify_all();
  if (wake_fd_ >= 0) eventfd_write(wake_fd_, 1);
  if (thread_.joinable()) thread_.join();
  if (fd_ >= 0) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    Ioctl(fd_, VIDIOC_STREAMOFF, &type);
    close(fd_);
    fd_ = -1;
  }
  if (wake_fd_ >= 0) close(wake_fd_), wake_fd_ = -1;
  std::lock_guard<std::mutex> lock(mutex_);
  if (frames_ == 0) Unmap();
}

Capture::~Capture() { Close(); }

Status DescribeDevice(const std::string& path, DeviceDescription* description) {
  const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return Status::Error(CodeOf(errno), "camera %.100s cannot be opened: %s", path.c_str(), std::strerror(errno));
  v4l2_capability capability = {};
  const bool is_device = Ioctl(fd, VIDIOC_QUERYCAP, &capability) == 0;
  if (is_device) {
    const uint32_t caps =
        capability.capabilities & V4L2_CAP_DEVICE_CAPS ? capability.device_caps : capability.capabilities;
    description->card = reinterpret_cast<const char*>(capability.card);
    description->driver = reinterpret_cast<const char*>(capability.driver);
    description->bus = reinterpret_cast<const char*>(capability.bus_info);
    description->is_capture = (caps & V4L2_CAP_VIDEO_CAPTURE) && (caps & V4L2_CAP_STREAMING);
    v4l2_fmtdesc offered = {};
    for (offered.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
         description->is_capture && Ioctl(fd, VIDIOC_ENUM_FMT, &offered) == 0; ++offered.index) {
      DeviceFormat format = {offered.pixelformat, reinterpret_cast<const char*>(offered.description), {}};
      v4l2_frmsizeenum size = {};
      for (size.pixel_format = offered.pixelformat; size.index < 64 && Ioctl(fd, VIDIOC_ENUM_FRAMESIZES, &size) == 0;
           ++size.index) {
        if (size.type == V4L2_FRMSIZE_TYPE_DISCRETE)
          format.sizes.push_back({size.discrete.width, size.discrete.height});
        else {
          format.sizes.push_back({size.stepwise.max_width, size.stepwise.max_height});
          break;
        }
      }
      description->formats.push_back(format);
    }
  }
  close(fd);
  return is_device ? Status::Ok()
                   : Status::Error("CAMERA_NOT_FOUND", "camera %.100s is not a V4L2 device", path.c_str());
}

}  // namespace gapcam
