// The pixel path in JavaScript: new PixelPass(spec).run(frame, pixels, target) on a thread of its own.
#include "../image/pixels.h"

#include <memory>
#include <string>

#include "frame.h"
#include "init.h"
#include "thread.h"

namespace gapcam {
namespace {

constexpr const char* kFormatNames[] = {"yuyv", "uyvy", "nv12", "i420", "rgb24", "bgr24", "grey"};
constexpr const char* kResizeNames[] = {"cover", "stretch", "contain"};

template <size_t kCount>
int IndexOf(const char* const (&names)[kCount], const Napi::Value& value) {
  if (!value.IsString()) return -1;
  const std::string text = value.As<Napi::String>().Utf8Value();
  for (size_t i = 0; i < kCount; ++i) if (text == names[i]) return static_cast<int>(i);
  return -1;
}

class PassJob final : public Job {
 public:
  PassJob(std::shared_ptr<PixelPass> pass, const PixelSource& source, std::shared_ptr<CaptureFrame> frame, const Napi::Value& pixels, Napi::TypedArray target)
      : pass_(std::move(pass)), source_(source), frame_(std::move(frame)) {
    // Not through ArrayBuffer(): the target may lie in memory that is shared with the onnxruntime worker.
    napi_get_typedarray_info(target.Env(), target, nullptr, nullptr, &target_data_, nullptr, nullptr);
    target_ = Napi::Persistent(target.As<Napi::Object>());
    if (!frame_) pixels_ = Napi::Persistent(pixels.As<Napi::Object>());
  }

  Status Work() override {
    const Status status = pass_->Run(source_, target_data_);
    if (frame_ && frame_->is_reclaimed()) return Status::Error("FRAME_INVALID", "the frame was held too long and taken back");
    return status;
  }

 private:
  std::shared_ptr<PixelPass> pass_;
  PixelSource source_;
  std::shared_ptr<CaptureFrame> frame_;
  void* target_data_ = nullptr;
  Napi::ObjectReference target_, pixels_;  // alive while the thread works on them
};

class Pass final : public Napi::ObjectWrap<Pass> {
 public:
  explicit Pass(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Pass>(info) {
    PixelSpec spec;
    if (info.Length() < 1 || !info[0].IsObject() || !ReadSpec(info[0].As<Napi::Object>(), &spec)) {
      Napi::TypeError::New(info.Env(), "Expected a pixel spec for PixelPass").ThrowAsJavaScriptException();
      return;
    }
    elements_ = size_t{3} * spec.width * spec.height;
    is_bytes_ = spec.is_bytes;
    pass_ = std::make_shared<PixelPass>(spec);
    thread_ = std::make_unique<WorkerThread>(info.Env(), "gapcam pixels");
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "PixelPass", {InstanceMethod<&Pass::Run>("run"), InstanceMethod<&Pass::Shown>("shown"), InstanceMethod<&Pass::Close>("close")});
  }

 private:
  static bool ReadTriple(const Napi::Value& value, double* to) {
    if (!value.IsArray() || value.As<Napi::Array>().Length() != 3) return false;
    for (uint32_t i = 0; i < 3; ++i) to[i] = value.As<Napi::Array>().Get(i).ToNumber().DoubleValue();
    return true;
  }

  static bool ReadSpec(const Napi::Object& from, PixelSpec* spec) {
    const auto number = [&](const char* name) { return from.Get(name).ToNumber().DoubleValue(); };
    double mean[3], deviation[3], fill[3];
    const int resize = IndexOf(kResizeNames, from.Get("resize"));
    if (resize < 0 || !ReadTriple(from.Get("mean"), mean) || !ReadTriple(from.Get("std"), deviation) || !ReadTriple(from.Get("fill"), fill)) return false;
    if (!(number("width") >= 1 && number("width") <= 8192 && number("height") >= 1 && number("height") <= 8192)) return false;
    spec->width = static_cast<uint32_t>(number("width")), spec->height = static_cast<uint32_t>(number("height"));
    spec->is_nchw = from.Get("isNchw").ToBoolean(), spec->is_bytes = from.Get("isBytes").ToBoolean(), spec->is_bgr = from.Get("isBgr").ToBoolean();
    spec->flip_x = from.Get("flipX").ToBoolean(), spec->flip_y = from.Get("flipY").ToBoolean();
    spec->rotate = static_cast<uint32_t>(number("rotate"));
    spec->resize = static_cast<ResizeMode>(resize);
    for (int i = 0; i < 3; ++i) {
      spec->mean[i] = static_cast<float>(mean[i]), spec->std[i] = static_cast<float>(deviation[i]), spec->fill[i] = static_cast<uint8_t>(fill[i]);
    }
    const Napi::Value roi = from.Get("roi");
    if (!roi.IsArray() || roi.As<Napi::Array>().Length() != 4) return false;
    for (uint32_t i = 0; i < 4; ++i) spec->roi[i] = roi.As<Napi::Array>().Get(i).ToNumber().DoubleValue();
    return spec->rotate % 90 == 0 && spec->rotate < 360;
  }

  // run(frame {format, width, height, stride}, pixels: Uint8Array or frame handle, target) → promise
  Napi::Value Run(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    PixelSource source;
    std::shared_ptr<CaptureFrame> held;
    if (info.Length() < 3 || !info[0].IsObject() || !info[2].IsTypedArray() || !ReadSource(info[0].As<Napi::Object>(), info[1], &source, &held)) {
      Napi::TypeError::New(env, "Expected a frame, its pixels and a target for PixelPass.run").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    const Napi::TypedArray target = info[2].As<Napi::TypedArray>();
    const napi_typedarray_type wanted = is_bytes_ ? napi_uint8_array : napi_float32_array;
    if (target.TypedArrayType() != wanted || target.ElementLength() < elements_) {
      Napi::TypeError::New(env, "Expected a target of the spec's type and size for PixelPass.run").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return thread_->Post(std::make_unique<PassJob>(pass_, source, std::move(held), info[1], target));
  }

  static bool ReadSource(const Napi::Object& frame, const Napi::Value& pixels, PixelSource* source, std::shared_ptr<CaptureFrame>* held) {
    const int format = IndexOf(kFormatNames, frame.Get("format"));
    if (format < 0) return false;
    source->format = static_cast<PixelFormat>(format);
    source->width = frame.Get("width").ToNumber().Uint32Value();
    source->height = frame.Get("height").ToNumber().Uint32Value();
    source->stride = frame.Get("stride").ToNumber().Uint32Value();
    if (pixels.IsTypedArray() && pixels.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
      const Napi::Uint8Array bytes = pixels.As<Napi::Uint8Array>();
      source->data = bytes.Data(), source->bytes = bytes.ByteLength();
      return true;
    }
    *held = FrameOf(pixels);
    if (!*held) return false;
    source->data = (*held)->data(), source->bytes = (*held)->bytes();
    return true;
  }

  Napi::Value Shown(const Napi::CallbackInfo& info) {
    double rectangle[4] = {0, 0, 1, 1};
    const uint32_t width = info[0].ToNumber().Uint32Value(), height = info[1].ToNumber().Uint32Value();
    if (width > 0 && height > 0) pass_->Shown(width, height, rectangle);
    Napi::Array array = Napi::Array::New(info.Env(), 4);
    for (uint32_t i = 0; i < 4; ++i) array.Set(i, rectangle[i]);
    return array;
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    thread_->Stop();
    return info.Env().Undefined();
  }

  size_t elements_ = 0;
  bool is_bytes_ = false;
  std::shared_ptr<PixelPass> pass_;
  std::unique_ptr<WorkerThread> thread_;
};

}  // namespace

void InitImage(Napi::Env env, Napi::Object exports) { exports.Set("PixelPass", Pass::Define(env)); }

}  // namespace gapcam
