// The pixel path in JavaScript: new PixelPass(spec).run(frame, pixels, target) computes on its own thread. A session runs a
// pass and its network in one job (session.cc).
#include "../image/pixels.h"

#include <memory>

#include "errors.h"
#include "init.h"
#include "pixels.h"
#include "thread.h"

namespace gapcam {
namespace {

// Marks our passes, so that no other object is mistaken for one.
constexpr napi_type_tag kPassTag = {0x67617063616d5061, 0x7373206f626a6563};

napi_typedarray_type ArrayTypeOf(PlanType type) {
  switch (type) {
    case PlanType::kInt8: return napi_int8_array;
    case PlanType::kUint8: return napi_uint8_array;
    default: return napi_float32_array;
  }
}

// Computes one frame.
class PassJob final : public Job {
 public:
  PassJob(std::shared_ptr<PixelPass> pass, GivenFrame frame, Napi::TypedArray target)
      : pass_(std::move(pass)), frame_(std::move(frame)) {
    // ArrayBuffer() does not accept the memory that the target may share with the onnxruntime worker.
    napi_get_typedarray_info(target.Env(), target, nullptr, nullptr, &target_data_, nullptr, nullptr);
    target_ = Napi::Persistent(target.As<Napi::Object>());
  }

  Status Work() override { return frame_.Outcome(pass_->Run(frame_.source, target_data_)); }

 private:
  std::shared_ptr<PixelPass> pass_;
  GivenFrame frame_;
  void* target_data_ = nullptr;
  Napi::ObjectReference target_;  // keeps it alive while the thread writes it
};

// PixelPass: src/pixels/preprocess.ts holds it.
class Pass final : public Napi::ObjectWrap<Pass> {
 public:
  explicit Pass(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Pass>(info) {
    PixelSpec spec;
    if (!ReadPixelSpec(info[0], &spec)) {
      RefuseArguments(info.Env(), "Expected a pixel spec for PixelPass");
      return;
    }
    pass_ = std::make_shared<PixelPass>(spec);
    napi_type_tag_object(info.Env(), info.This(), &kPassTag);
  }

  const std::shared_ptr<PixelPass>& pass() const { return pass_; }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "PixelPass",
                       {InstanceMethod<&Pass::Run>("run"), InstanceMethod<&Pass::Shown>("shown"),
                        InstanceMethod<&Pass::Close>("close")});
  }

 private:
  // run(frame {format, width, height, stride}, pixels: Uint8Array or frame handle, target) → promise
  Napi::Value Run(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    GivenFrame frame;
    if (!info[2].IsTypedArray() || !ReadFrame(info[0], info[1], &frame)) {
      return RefuseArguments(env, "Expected a frame, its pixels and a target for PixelPass.run");
    }
    const Napi::TypedArray target = info[2].As<Napi::TypedArray>();
    const PixelSpec& spec = pass_->spec();
    if (target.TypedArrayType() != ArrayTypeOf(ElementTypeOf(spec)) || target.ElementLength() < ElementsOf(spec)) {
      return RefuseArguments(env, "Expected a target of the spec's type and size for PixelPass.run");
    }
    if (is_closed_) return Throw(env, Status::Error("ENGINE_FAILED", "the pixel pass is closed"));
    if (!thread_) thread_ = std::make_unique<WorkerThread>(env, "gapcam pixels");
    return thread_->Post(std::make_unique<PassJob>(pass_, std::move(frame), target));
  }

  // shown(width, height) → [x, y, width, height]: the part of a frame that the network sees, in shares
  Napi::Value Shown(const Napi::CallbackInfo& info) {
    double rectangle[4] = {0, 0, 1, 1};
    const uint32_t width = info[0].ToNumber().Uint32Value(), height = info[1].ToNumber().Uint32Value();
    if (width > 0 && height > 0) pass_->Shown(width, height, rectangle);
    Napi::Array array = Napi::Array::New(info.Env(), 4);
    for (uint32_t i = 0; i < 4; ++i) array.Set(i, rectangle[i]);
    return array;
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    is_closed_ = true;
    if (thread_) thread_->Stop();
    return info.Env().Undefined();
  }

  std::shared_ptr<PixelPass> pass_;
  bool is_closed_ = false;
  std::unique_ptr<WorkerThread> thread_;  // none before the first run
};

}  // namespace

std::shared_ptr<PixelPass> PassOf(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  bool is_pass = false;
  napi_check_object_type_tag(value.Env(), value, &kPassTag, &is_pass);
  return is_pass ? Pass::Unwrap(value.As<Napi::Object>())->pass() : nullptr;
}

void InitImage(Napi::Env env, Napi::Object exports) { exports.Set("PixelPass", Pass::Define(env)); }

}  // namespace gapcam
