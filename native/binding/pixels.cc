// Reads frames and pixel specs from JavaScript; see pixels.h.
#include "pixels.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace gapcam {
namespace {

constexpr const char* kFormatNames[] = {"yuyv", "uyvy", "nv12", "i420", "rgb24", "bgr24", "grey"};
constexpr const char* kResizeNames[] = {"cover", "stretch", "contain"};
constexpr uint32_t kMostCorners = 256;

// The place of a string in a list of names, or -1.
template <size_t kCount>
int IndexOf(const char* const (&names)[kCount], const Napi::Value& value) {
  if (!value.IsString()) return -1;
  const std::string text = value.As<Napi::String>().Utf8Value();
  for (size_t i = 0; i < kCount; ++i)
    if (text == names[i]) return static_cast<int>(i);
  return -1;
}

bool ReadTriple(const Napi::Value& value, double* to) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() != 3) return false;
  for (uint32_t i = 0; i < 3; ++i) to[i] = value.As<Napi::Array>().Get(i).ToNumber().DoubleValue();
  return true;
}

// Reads the mask {polygon: [x, y, x, y, …], fill: [red, green, blue]}, or null for none.
bool ReadMask(const Napi::Value& value, PixelSpec* spec) {
  if (value.IsNull() || value.IsUndefined()) return true;
  double fill[3];
  if (!value.IsObject() || !ReadTriple(value.As<Napi::Object>().Get("fill"), fill)) return false;
  const Napi::Value polygon = value.As<Napi::Object>().Get("polygon");
  if (!polygon.IsArray()) return false;
  const Napi::Array numbers = polygon.As<Napi::Array>();
  if (numbers.Length() < 6 || numbers.Length() > 2 * kMostCorners || numbers.Length() % 2 != 0) return false;
  for (uint32_t i = 0; i < numbers.Length(); ++i) spec->polygon.push_back(numbers.Get(i).ToNumber().DoubleValue());
  for (int i = 0; i < 3; ++i) spec->mask_fill[i] = static_cast<float>(std::clamp(fill[i], 0.0, 255.0));
  return true;
}

// Reads a code {isSigned, scale, zeroPoint}, or null for none.
bool ReadCode(const Napi::Value& value, PixelSpec* spec) {
  if (value.IsNull() || value.IsUndefined()) return true;
  if (!value.IsObject() || !spec->is_bytes) return false;
  const Napi::Object from = value.As<Napi::Object>();
  spec->has_code = true;
  spec->code = {from.Get("scale").ToNumber().FloatValue(), from.Get("zeroPoint").ToNumber().Int32Value(),
                from.Get("isSigned").ToBoolean()};
  const int32_t least = spec->code.is_signed ? -128 : 0;
  return std::isnormal(spec->code.scale) && spec->code.scale > 0 && spec->code.zero >= least &&
         spec->code.zero <= least + 255;
}

}  // namespace

bool ReadPixelSpec(const Napi::Value& value, PixelSpec* spec) {
  if (!value.IsObject()) return false;
  const Napi::Object from = value.As<Napi::Object>();
  const auto number = [&](const char* name) { return from.Get(name).ToNumber().DoubleValue(); };
  double mean[3], deviation[3], fill[3];
  const int resize = IndexOf(kResizeNames, from.Get("resize"));
  if (resize < 0 || !ReadTriple(from.Get("mean"), mean) || !ReadTriple(from.Get("std"), deviation) ||
      !ReadTriple(from.Get("fill"), fill))
    return false;
  if (!(number("width") >= 1 && number("width") <= 8192 && number("height") >= 1 && number("height") <= 8192))
    return false;
  spec->width = static_cast<uint32_t>(number("width")), spec->height = static_cast<uint32_t>(number("height"));
  spec->is_nchw = from.Get("isNchw").ToBoolean(), spec->is_bytes = from.Get("isBytes").ToBoolean(),
  spec->is_bgr = from.Get("isBgr").ToBoolean();
  spec->flip_x = from.Get("flipX").ToBoolean(), spec->flip_y = from.Get("flipY").ToBoolean();
  spec->rotate = static_cast<uint32_t>(number("rotate"));
  spec->resize = static_cast<ResizeMode>(resize);
  for (int i = 0; i < 3; ++i) {
    spec->mean[i] = static_cast<float>(mean[i]), spec->std[i] = static_cast<float>(deviation[i]),
    spec->fill[i] = static_cast<uint8_t>(fill[i]);
  }
  if (!ReadCode(from.Get("code"), spec) || !ReadMask(from.Get("mask"), spec)) return false;
  const Napi::Value roi = from.Get("roi");
  if (!roi.IsArray() || roi.As<Napi::Array>().Length() != 4) return false;
  for (uint32_t i = 0; i < 4; ++i) spec->roi[i] = roi.As<Napi::Array>().Get(i).ToNumber().DoubleValue();
  return spec->rotate % 90 == 0 && spec->rotate < 360;
}

bool ReadFrame(const Napi::Value& frame, const Napi::Value& pixels, GivenFrame* given) {
  if (!frame.IsObject()) return false;
  const Napi::Object geometry = frame.As<Napi::Object>();
  const int format = IndexOf(kFormatNames, geometry.Get("format"));
  if (format < 0) return false;
  PixelSource& source = given->source;
  source.format = static_cast<PixelFormat>(format);
  source.width = geometry.Get("width").ToNumber().Uint32Value();
  source.height = geometry.Get("height").ToNumber().Uint32Value();
  source.stride = geometry.Get("stride").ToNumber().Uint32Value();
  if (pixels.IsTypedArray() && pixels.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    const Napi::Uint8Array bytes = pixels.As<Napi::Uint8Array>();
    source.data = bytes.Data(), source.bytes = bytes.ByteLength();
    given->pixels = Napi::Persistent(pixels.As<Napi::Object>());
    return true;
  }
  given->captured = FrameOf(pixels);
  if (!given->captured) return false;
  source.data = given->captured->data(), source.bytes = given->captured->bytes();
  return true;
}

PlanType ElementTypeOf(const PixelSpec& spec) {
  if (!spec.is_bytes) return PlanType::kFloat32;
  return spec.code.is_signed ? PlanType::kInt8 : PlanType::kUint8;
}

Status GivenFrame::Outcome(const Status& pass) const {
  return captured && captured->is_reclaimed() ? FrameReclaimed() : pass;
}

}  // namespace gapcam
