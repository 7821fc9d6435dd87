// ViewAnchor in JavaScript: new ViewAnchor(width, height), setReference(levels), locate(levels, result). Both run on the
// JavaScript thread: about a millisecond, once a second.
#include "../image/anchor.h"

#include <memory>

#include "errors.h"
#include "init.h"

namespace gapcam {
namespace {

constexpr uint32_t kLeastSide = 32, kMostSide = 256, kResults = 8;

// src/lens/anchor.ts holds it.
class Anchor final : public Napi::ObjectWrap<Anchor> {
 public:
  explicit Anchor(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Anchor>(info) {
    const uint32_t width = info[0].ToNumber().Uint32Value(), height = info[1].ToNumber().Uint32Value();
    const auto is_side = [](uint32_t side) { return side >= kLeastSide && side <= kMostSide; };
    if (!is_side(width) || !is_side(height)) {
      RefuseArguments(info.Env(), "Expected a width and a height from 32 to 256 for ViewAnchor");
      return;
    }
    levels_ = size_t{width} * height;
    anchor_ = std::make_unique<ViewAnchor>(width, height);
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "ViewAnchor",
        {InstanceMethod<&Anchor::SetReference>("setReference"), InstanceMethod<&Anchor::Locate>("locate")});
  }

 private:
  // The numbers of a Float32Array of this length; null for another value.
  static float* Floats(const Napi::Value& value, size_t length) {
    if (!value.IsTypedArray()) return nullptr;
    const Napi::TypedArray array = value.As<Napi::TypedArray>();
    if (array.TypedArrayType() != napi_float32_array || array.ElementLength() != length) return nullptr;
    return array.As<Napi::Float32Array>().Data();
  }

  Napi::Value SetReference(const Napi::CallbackInfo& info) {
    const float* levels = Floats(info[0], levels_);
    if (levels == nullptr)
      return RefuseArguments(info.Env(), "Expected one level for each pixel for ViewAnchor.setReference");
    anchor_->SetReference(levels);
    return info.Env().Undefined();
  }

  // Writes a, b, x and y shift, correlation, agreeing, rival, textured.
  Napi::Value Locate(const Napi::CallbackInfo& info) {
    const float* levels = Floats(info[0], levels_);
    float* out = Floats(info[1], kResults);
    if (levels == nullptr || out == nullptr)
      return RefuseArguments(info.Env(), "Expected one level for each pixel and eight results for ViewAnchor.locate");
    AnchorResult r;
    anchor_->Locate(levels, &r);
    const float values[kResults] = {r.place.a,     r.place.b,  r.place.x_shift, r.place.y_shift,
                                    r.correlation, r.agreeing, r.rival,         float(r.textured)};
    for (uint32_t i = 0; i < kResults; ++i) out[i] = values[i];
    return info.Env().Undefined();
  }

  size_t levels_ = 0;
  std::unique_ptr<ViewAnchor> anchor_;
};

}  // namespace

void InitAnchor(Napi::Env env, Napi::Object exports) { exports.Set("ViewAnchor", Anchor::Define(env)); }

}  // namespace gapcam
