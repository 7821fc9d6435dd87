// V4L2 in JavaScript: new Capture(path, options) with open(), next() and close(), and describeVideoDevice(path).
#include <memory>
#include <string>

#include "errors.h"
#include "frame.h"
#include "init.h"
#include "thread.h"

namespace gapcam {
namespace {

// Marks our frame objects, so that no other object is mistaken for one.
constexpr napi_type_tag kFrameTag = {0x67617063616d4672, 0x616d65206f626a31};

// A FOURCC as text, without trailing spaces.
std::string FourccText(uint32_t fourcc) {
  std::string text;
  for (int i = 0; i < 4; ++i) text += static_cast<char>(fourcc >> (8 * i) & 127);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// A frame in JavaScript: native, seq, capturedNs, bytes, copyTo(bytes), release(). It owns the driver's buffer until it
// is released or collected.
class CapturedFrame final : public Napi::ObjectWrap<CapturedFrame> {
 public:
  explicit CapturedFrame(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CapturedFrame>(info) {
    napi_type_tag_object(info.Env(), info.This(), &kFrameTag);
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "CapturedFrame",
        {InstanceMethod<&CapturedFrame::CopyTo>("copyTo"), InstanceMethod<&CapturedFrame::Release>("release")});
  }

  void Take(Napi::Env env, std::unique_ptr<CaptureFrame> frame) {
    frame_ = std::move(frame);
    Napi::Object self = Value();
    self.Set("native", true);
    self.Set("seq", static_cast<double>(frame_->seq()));
    self.Set("capturedNs", Napi::BigInt::New(env, frame_->captured_ns()));
    self.Set("bytes", static_cast<double>(frame_->bytes()));
  }

  const std::shared_ptr<CaptureFrame>& frame() const { return frame_; }

 private:
  Napi::Value CopyTo(const Napi::CallbackInfo& info) {
    if (info.Length() < 1 || !info[0].IsTypedArray() || !frame_ ||
        info[0].As<Napi::TypedArray>().ByteLength() < frame_->bytes()) {
      return RefuseArguments(
          info.Env(),
          "Expected a Uint8Array with room for the whole frame and a frame that is not released for copyTo");
    }
    std::memcpy(info[0].As<Napi::Uint8Array>().Data(), frame_->data(), frame_->bytes());
    return frame_->is_reclaimed() ? Throw(info.Env(), FrameReclaimed()) : info.Env().Undefined();
  }

  Napi::Value Release(const Napi::CallbackInfo& info) {
    frame_.reset();
    return info.Env().Undefined();
  }

  std::shared_ptr<CaptureFrame> frame_;
};

class OpenCaptureJob final : public Job {
 public:
  OpenCaptureJob(std::shared_ptr<Capture> capture, CaptureRequest request)
      : capture_(std::move(capture)), request_(std::move(request)) {}
  Status Work() override { return capture_->Open(request_); }

  Napi::Value Result(Napi::Env env) override {
    const CaptureFormat& format = capture_->format();
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", format.card);
    object.Set("fourcc", FourccText(format.fourcc));
    object.Set("width", format.width);
    object.Set("height", format.height);
    object.Set("stride", format.stride);
    object.Set("fps", format.fps);
    return object;
  }

 private:
  std::shared_ptr<Capture> capture_;
  CaptureRequest request_;
};

class NextJob final : public Job {
 public:
  explicit NextJob(std::shared_ptr<Capture> capture) : capture_(std::move(capture)) {}
  Status Work() override { return capture_->Take(&frame_); }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object object = env.GetInstanceData<AddonData>()->captured_frame.New({});
    CapturedFrame::Unwrap(object)->Take(env, std::move(frame_));
    return object;
  }

 private:
  std::shared_ptr<Capture> capture_;
  std::unique_ptr<CaptureFrame> frame_;
};

// Capture in JavaScript.
class CaptureObject final : public Napi::ObjectWrap<CaptureObject> {
 public:
  explicit CaptureObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CaptureObject>(info) {
    if (info.Length() < 2 || !info[0].IsString() || !info[1].IsObject()) {
      RefuseArguments(info.Env(), "Expected a device path and options for Capture");
      return;
    }
    const Napi::Object options = info[1].As<Napi::Object>();
    const auto number = [&](const char* name, double otherwise) {
      const Napi::Value value = options.Get(name);
      return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : otherwise;
    };
    request_.path = info[0].As<Napi::String>().Utf8Value();
    request_.width = static_cast<uint32_t>(number("width", 640));
    request_.height = static_cast<uint32_t>(number("height", 480));
    request_.fps = number("fps", 0);
    request_.stall_ms = static_cast<int>(number("stallMs", 5000));
    capture_ = std::make_shared<Capture>();
    thread_ = std::make_unique<WorkerThread>(info.Env(), "gapcam capture");
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Capture",
                       {
                           InstanceMethod<&CaptureObject::Open>("open"),
                           InstanceMethod<&CaptureObject::Next>("next"),
                           InstanceMethod<&CaptureObject::Close>("close"),
                           InstanceAccessor<&CaptureObject::Dropped>("dropped"),
                           InstanceAccessor<&CaptureObject::Reclaimed>("reclaimed"),
                       });
  }

 private:
  Napi::Value Open(const Napi::CallbackInfo&) {
    return thread_->Post(std::make_unique<OpenCaptureJob>(capture_, request_));
  }
  Napi::Value Next(const Napi::CallbackInfo&) { return thread_->Post(std::make_unique<NextJob>(capture_)); }
  Napi::Value Dropped(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(capture_->dropped()));
  }

  Napi::Value Reclaimed(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(capture_->reclaimed()));
  }

  // First ends a waiting next() with CAMERA_LOST, so that the thread can be joined.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    capture_->Close();
    thread_->Stop();
    return info.Env().Undefined();
  }

  CaptureRequest request_;
  std::shared_ptr<Capture> capture_;
  std::unique_ptr<WorkerThread> thread_;
};

Napi::Value DescribeVideoDevice(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsString()) {
    return RefuseArguments(env, "Expected a device path for describeVideoDevice");
  }
  DeviceDescription device;
  const Status status = DescribeDevice(info[0].As<Napi::String>().Utf8Value(), &device);
  if (!status.ok()) {
    return Throw(env, status);
  }
  Napi::Array formats = Napi::Array::New(env, device.formats.size());
  for (uint32_t i = 0; i < device.formats.size(); ++i) {
    const DeviceFormat& from = device.formats[i];
    Napi::Array sizes = Napi::Array::New(env, from.sizes.size());
    for (uint32_t j = 0; j < from.sizes.size(); ++j) {
      Napi::Array size = Napi::Array::New(env, 2);
      size.Set(0u, from.sizes[j].first);
      size.Set(1u, from.sizes[j].second);
      sizes.Set(j, size);
    }
    Napi::Object format = Napi::Object::New(env);
    format.Set("fourcc", FourccText(from.fourcc));
    format.Set("description", from.description);
    format.Set("sizes", sizes);
    formats.Set(i, format);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", device.card);
  object.Set("driver", device.driver);
  object.Set("bus", device.bus);
  object.Set("isCapture", device.is_capture);
  object.Set("formats", formats);
  return object;
}

}  // namespace

std::shared_ptr<CaptureFrame> FrameOf(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  bool is_frame = false;
  napi_check_object_type_tag(value.Env(), value, &kFrameTag, &is_frame);
  return is_frame ? CapturedFrame::Unwrap(value.As<Napi::Object>())->frame() : nullptr;
}

void InitCapture(Napi::Env env, Napi::Object exports, AddonData* data) {
  data->captured_frame = Napi::Persistent(CapturedFrame::Define(env));
  exports.Set("Capture", CaptureObject::Define(env));
  exports.Set("describeVideoDevice", Napi::Function::New(env, DescribeVideoDevice, "describeVideoDevice"));
}

}  // namespace gapcam
