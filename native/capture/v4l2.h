// Captures from a V4L2 device with mmap streaming, on a separate thread that keeps only the newest frame. A frame that was
// taken keeps its buffer out of the driver's ring until it is given back.
#pragma once
#include <linux/videodev2.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../status.h"

namespace gapcam {

struct CaptureRequest {
  std::string path;
  uint32_t width = 640, height = 480;  // wanted; the driver's nearest is taken
  double fps = 0;                      // 0: the driver's default
  int stall_ms = 5000;                 // no frame for so long is a fault
};

struct CaptureFormat {
  uint32_t fourcc = 0, width = 0, height = 0, stride = 0;
  double fps = 0;
  std::string card;
};

class Capture;

// One frame in driver memory; its destructor gives the buffer back. When the driver has no buffer left, the capture takes
// back the frame that has been held longest: its memory stays readable, but newer pictures are written into it.
class CaptureFrame {
 public:
  CaptureFrame(std::shared_ptr<Capture> capture, uint32_t index, const uint8_t* data, uint64_t bytes,
               uint64_t captured_ns, uint64_t seq)
      : capture_(std::move(capture)), index_(index), data_(data), bytes_(bytes), captured_ns_(captured_ns), seq_(seq) {}
  ~CaptureFrame();
  CaptureFrame(const CaptureFrame&) = delete;
  CaptureFrame& operator=(const CaptureFrame&) = delete;

  const uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t captured_ns() const { return captured_ns_; }
  uint64_t seq() const { return seq_; }
  // True once it was taken back. Check this after the last read of data().
  bool is_reclaimed() const { return is_reclaimed_.load(std::memory_order_acquire); }

 private:
  friend class Capture;
  std::shared_ptr<Capture> capture_;
  std::atomic<bool> is_reclaimed_{false};
  uint32_t index_;
  const uint8_t* data_;
  uint64_t bytes_, captured_ns_, seq_;
};

class Capture : public std::enable_shared_from_this<Capture> {
 public:
  ~Capture();

  // CAMERA_NOT_FOUND, CAMERA_PERMISSION, CAMERA_BUSY or CAMERA_FORMAT when the device cannot be used.
  Status Open(const CaptureRequest& request);
  const CaptureFormat& format() const { return format_; }

  // Waits for a frame newer than the last one taken. CAMERA_LOST or CAMERA_STALLED when none will come.
  Status Take(std::unique_ptr<CaptureFrame>* frame);
  // Ends the stream and every waiting Take. Frames that are still held keep their memory, and the driver keeps the device
  // until the last of them is released.
  void Close();
  uint64_t dropped() const { return dropped_.load(); }
  uint64_t reclaimed() const { return reclaimed_.load(); }

 private:
  friend class CaptureFrame;
  struct Buffer {
    void* start = nullptr;
    size_t length = 0;
  };

  Status ChooseFormat(const CaptureRequest& request);
  Status MapBuffers();
  void Loop();
  Status Dequeue();
  void Release(const CaptureFrame* frame);
  bool Reclaim();
  void Requeue(uint32_t index);  // under mutex_
  void Unmap();                  // under mutex_
  Status Fault(const char* code, const char* what, int error) const;

  std::string path_;
  int stall_ms_ = 5000;
  int fd_ = -1, wake_fd_ = -1;
  CaptureFormat format_;
  std::vector<Buffer> buffers_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  v4l2_buffer newest_ = {};  // under mutex_, as all below
  bool has_newest_ = false, is_closed_ = false;
  Status fault_;
  uint64_t seq_ = 0;
  std::vector<CaptureFrame*> held_;  // oldest first
  size_t frames_ = 0;                // held or taken back: a reader may still use them
  std::atomic<uint64_t> dropped_{0}, reclaimed_{0};
};

// What a device offers, for `gapcam cameras`.
struct DeviceFormat {
  uint32_t fourcc;
  std::string description;
  std::vector<std::pair<uint32_t, uint32_t>> sizes;
};
struct DeviceDescription {
  std::string card, driver, bus;
  bool is_capture = false;
  std::vector<DeviceFormat> formats;
};
Status DescribeDevice(const std::string& path, DeviceDescription* description);

}  // namespace gapcam
