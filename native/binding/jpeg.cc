// Shrunk JPEGs in JavaScript: new JpegShrinker().decode(bytes, shrink, width, height) decodes on its own thread.
#include "../image/shrunk_jpeg.h"

#include <memory>

#include "errors.h"
#include "init.h"
#include "thread.h"

namespace gapcam {
namespace {

constexpr uint32_t kMostSide = 65535;

// Decodes one picture into memory of JavaScript's.
class ShrinkJob final : public Job {
 public:
  ShrinkJob(Napi::Uint8Array bytes, uint32_t shrink, uint32_t width, uint32_t height) {
    Napi::Uint8Array rgb = Napi::Uint8Array::New(bytes.Env(), size_t{3} * width * height);
    jpeg_ = {bytes.Data(), bytes.ByteLength(), shrink, width, height, rgb.Data()};
    bytes_ = Napi::Persistent(bytes.As<Napi::Object>());
    rgb_ = Napi::Persistent(rgb.As<Napi::Object>());
  }

  Status Work() override {
    is_served_ = DecodeShrunk(jpeg_);
    return Status::Ok();
  }

  Napi::Value Result(Napi::Env env) override { return is_served_ ? rgb_.Value() : env.Null(); }

 private:
  ShrunkJpeg jpeg_;
  bool is_served_ = false;
  Napi::ObjectReference bytes_, rgb_;  // keep both alive while the thread works
};

// JpegShrinker: src/pixels/shrunk-jpeg.ts holds it.
class Shrinker final : public Napi::ObjectWrap<Shrinker> {
 public:
  explicit Shrinker(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<Shrinker>(info), thread_(info.Env(), "gapcam jpeg") {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "JpegShrinker", {InstanceMethod<&Shrinker::Decode>("decode")});
  }

 private:
  // decode(bytes, shrink, width, height) → promise of a Uint8Array of RGB levels, or of null: see DecodeShrunk
  Napi::Value Decode(const Napi::CallbackInfo& info) {
    const auto number = [&](size_t i) { return info[i].IsNumber() ? info[i].ToNumber().Uint32Value() : 0; };
    const uint32_t shrink = number(1), width = number(2), height = number(3);
    const bool is_picture = info[0].IsTypedArray() &&
                            info[0].As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array && width >= 1 &&
                            width <= kMostSide && height >= 1 && height <= kMostSide;
    if (!is_picture || (shrink != 2 && shrink != 4 && shrink != 8)) {
      return RefuseArguments(info.Env(), "Expected a Uint8Array, a shrink of 2, 4 or 8, and a size for decode");
    }
    return thread_.Post(std::make_unique<ShrinkJob>(info[0].As<Napi::Uint8Array>(), shrink, width, height));
  }

  WorkerThread thread_;
};

}  // namespace

void InitJpeg(Napi::Env env, Napi::Object exports) { exports.Set("JpegShrinker", Shrinker::Define(env)); }

}  // namespace gapcam
