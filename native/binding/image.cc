// The pixel path in JavaScript: new PixelPass(spec).run(frame, pixels, target) computes on its own thread, or at once where
// that is short.
#include "../image/pixels.h"

#include <chrono>
#include <memory>

#include "errors.h"
#include "init.h"
#include "pixels.h"
#include "thread.h"

namespace gapcam {
namespace {

// A pass as short as this is computed on the JavaScript thread: a handover to another one takes about as much.
constexpr int64_t kShortNs = 300'000;

// A pass with what is known of its runs. Jobs keep it alive after it was closed.
struct RunningPass {
  explicit RunningPass(const PixelSpec& spec) : pass(spec) {}
  PixelPass pass;
  uint32_t pending = 0;            // on the JavaScript thread only
  int64_t nanoseconds = kShortNs;  // of the last run; used while none is pending
};

// Computes one frame.
class PassJob final : public Job {
 public:
  PassJob(std::shared_ptr<RunningPass> running, GivenFrame frame, Napi::TypedArray target)
      : running_(std::move(running)), frame_(std::move(frame)) {
    // ArrayBuffer() does not accept the memory that the target may share with the onnxruntime worker.
    napi_get_typedarray_info(target.Env(), target, nullptr, nullptr, &target_data_, nullptr, nullptr);
    target_ = Napi::Persistent(target.As<Napi::Object>());
  }

  // Also where the environment has ended and no result is asked for.
  ~PassJob() override { --running_->pending; }

  Status Work() override {
    const auto start = std::chrono::steady_clock::now();
    const Status status = frame_.Outcome(running_->pass.Run(frame_.source, target_data_));
    running_->nanoseconds =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
    return status;
  }

 private:
  std::shared_ptr<RunningPass> running_;
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
    elements_ = size_t{3} * spec.width * spec.height;
    target_type_ = !spec.is_bytes ? napi_float32_array : spec.code.is_signed ? napi_int8_array : napi_uint8_array;
    running_ = std::make_shared<RunningPass>(spec);
  }

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
    if (target.TypedArrayType() != target_type_ || target.ElementLength() < elements_) {
      return RefuseArguments(env, "Expected a target of the spec's type and size for PixelPass.run");
    }
    if (is_closed_) return Refuse(env);
    const bool is_short = running_->pending == 0 && running_->nanoseconds < kShortNs;
    ++running_->pending;
    auto job = std::make_unique<PassJob>(running_, std::move(frame), target);
    if (is_short) return WorkerThread::DoHere(env, std::move(job));
    if (!thread_) thread_ = std::make_unique<WorkerThread>(env, "gapcam pixels");
    return thread_->Post(std::move(job));
  }

  static Napi::Value Refuse(Napi::Env env) {
    const Napi::Promise::Deferred deferred(env);
    deferred.Reject(ToError(env, Status::Error("ENGINE_FAILED", "the pixel path is closed")).Value());
    return deferred.Promise();
  }

  // shown(width, height) → [x, y, width, height]: the part of a frame that the network sees, in shares
  Napi::Value Shown(const Napi::CallbackInfo& info) {
    double rectangle[4] = {0, 0, 1, 1};
    const uint32_t width = info[0].ToNumber().Uint32Value(), height = info[1].ToNumber().Uint32Value();
    if (width > 0 && height > 0) running_->pass.Shown(width, height, rectangle);
    Napi::Array array = Napi::Array::New(info.Env(), 4);
    for (uint32_t i = 0; i < 4; ++i) array.Set(i, rectangle[i]);
    return array;
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    is_closed_ = true;
    if (thread_) thread_->Stop();
    return info.Env().Undefined();
  }

  size_t elements_ = 0;
  napi_typedarray_type target_type_ = napi_float32_array;
  bool is_closed_ = false;
  std::shared_ptr<RunningPass> running_;
  std::unique_ptr<WorkerThread> thread_;  // made where a run is not short
};

}  // namespace

void InitImage(Napi::Env env, Napi::Object exports) { exports.Set("PixelPass", Pass::Define(env)); }

}  // namespace gapcam
