// Measurements of what the network saw and computed. They run on the JavaScript thread, because each takes a few
// microseconds and reads memory that the next run overwrites.
//   heatProduct(map, weights, isNhwc, heat)
//   measureGrid({format, width, height, stride}, pixels, {part: [x, y, width, height], columns, rows, samples}, cells)
//   measureLens(pixels, {width, height, isNchw, rectangle: [x, y, width, height], weights: [3], offset}, statistics)
#include <algorithm>
#include <cstring>

#include "../image/grid.h"
#include "../image/heat.h"
#include "../image/lens.h"
#include "errors.h"
#include "init.h"
#include "pixels.h"

namespace gapcam {
namespace {

// The memory of a typed array. node-addon-api's ArrayBuffer does not accept shared memory.
struct View {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
};

bool ReadView(const Napi::Value& value, View* view) {
  return value.IsTypedArray() && napi_get_typedarray_info(value.Env(), value, &view->type, &view->length, &view->data,
                                                          nullptr, nullptr) == napi_ok;
}

bool ReadFloats(const Napi::Value& value, View* view) {
  return ReadView(value, view) && view->type == napi_float32_array;
}

Napi::Value Heat(const Napi::CallbackInfo& info) {
  View map, weights, heat;
  const bool are_floats =
      info.Length() == 4 && ReadFloats(info[0], &map) && ReadFloats(info[1], &weights) && ReadFloats(info[3], &heat);
  if (!are_floats || weights.length == 0 || heat.length == 0 || map.length / weights.length != heat.length ||
      map.length % weights.length != 0 || map.length > UINT32_MAX) {
    return RefuseArguments(
        info.Env(),
        "Expected a map of places times channels, one weight per channel and one result per place for heatProduct");
  }
  const FeatureMap source = {static_cast<const float*>(map.data), static_cast<uint32_t>(heat.length),
                             static_cast<uint32_t>(weights.length), info[2].ToBoolean()};
  HeatProduct(source, static_cast<const float*>(weights.data), static_cast<float*>(heat.data));
  return info.Env().Undefined();
}

bool ReadNumbers(const Napi::Value& value, uint32_t count, double* to) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() != count) return false;
  for (uint32_t i = 0; i < count; ++i) to[i] = value.As<Napi::Array>().Get(i).ToNumber().DoubleValue();
  return true;
}

bool ReadLensPixels(const Napi::Object& from, const View& data, LensPixels* to) {
  double rectangle[4], weights[3];
  const double width = from.Get("width").ToNumber().DoubleValue(), height = from.Get("height").ToNumber().DoubleValue();
  if (!ReadNumbers(from.Get("rectangle"), 4, rectangle) || !ReadNumbers(from.Get("weights"), 3, weights)) return false;
  const bool is_inside = rectangle[0] >= 0 && rectangle[1] >= 0 && rectangle[2] >= 2 && rectangle[3] >= 2 &&
                         rectangle[0] + rectangle[2] <= width && rectangle[1] + rectangle[3] <= height;
  if (!is_inside || !(width <= kLensWidest && height <= kLensWidest) || double(data.length) < width * height * 3)
    return false;
  to->data = data.data, to->is_bytes = data.type != napi_float32_array;
  to->is_signed = data.type == napi_int8_array, to->is_nchw = from.Get("isNchw").ToBoolean();
  to->width = static_cast<uint32_t>(width), to->height = static_cast<uint32_t>(height);
  to->x = static_cast<uint32_t>(rectangle[0]), to->y = static_cast<uint32_t>(rectangle[1]);
  to->inner_width = static_cast<uint32_t>(rectangle[2]), to->inner_height = static_cast<uint32_t>(rectangle[3]);
  for (int i = 0; i < 3; ++i) to->weights[i] = static_cast<float>(weights[i]);
  to->offset = from.Get("offset").ToNumber().FloatValue();
  return true;
}

// Writes the statistics: fine, dark, bright, then the cells.
Napi::Value Lens(const Napi::CallbackInfo& info) {
  View data, out;
  LensPixels pixels;
  const bool are_views =
      info.Length() == 3 && ReadView(info[0], &data) && info[1].IsObject() && ReadFloats(info[2], &out);
  const bool is_usable =
      are_views && (data.type == napi_float32_array || data.type == napi_uint8_array || data.type == napi_int8_array) &&
      out.length == 3 + kLensCells * kLensCells;
  if (!is_usable || !ReadLensPixels(info[1].As<Napi::Object>(), data, &pixels))
    return RefuseArguments(
        info.Env(), "Expected an input, the picture's rectangle in it and an array for the statistics for measureLens");
  LensStatistics measured;
  MeasureLens(pixels, &measured);
  auto* to = static_cast<float*>(out.data);
  to[0] = measured.fine, to[1] = measured.dark, to[2] = measured.bright;
  std::memcpy(to + 3, measured.cells, sizeof(measured.cells));
  return info.Env().Undefined();
}

bool ReadGridSpec(const Napi::Value& value, GridSpec* spec) {
  if (!value.IsObject()) return false;
  const Napi::Object from = value.As<Napi::Object>();
  const auto number = [&](const char* name) { return from.Get(name).ToNumber().Uint32Value(); };
  spec->columns = number("columns"), spec->rows = number("rows"), spec->samples = number("samples");
  const auto is_count = [](uint32_t count) { return count >= 1 && count <= kGridMostSamples; };
  return ReadNumbers(from.Get("part"), 4, spec->part) && is_count(spec->columns) && is_count(spec->rows) &&
         is_count(spec->samples) && spec->columns * spec->samples <= kGridMostSamples;
}

// Throws FRAME_INVALID for a frame that cannot be read.
Napi::Value Grid(const Napi::CallbackInfo& info) {
  GivenFrame frame;
  GridSpec spec;
  View cells;
  const bool are_usable = info.Length() == 4 && ReadFrame(info[0], info[1], &frame) && ReadGridSpec(info[2], &spec) &&
                          ReadFloats(info[3], &cells) && cells.length == size_t{spec.columns} * spec.rows;
  if (!are_usable)
    return RefuseArguments(info.Env(), "Expected a frame, its pixels, a grid and its cells for measureGrid");
  const Status status = frame.Outcome(MeasureGrid(frame.source, spec, static_cast<float*>(cells.data)));
  return status.ok() ? info.Env().Undefined() : Throw(info.Env(), status);
}

}  // namespace

void InitMeasure(Napi::Env env, Napi::Object exports) {
  exports.Set("heatProduct", Napi::Function::New<&Heat>(env));
  exports.Set("measureGrid", Napi::Function::New<&Grid>(env));
  exports.Set("measureLens", Napi::Function::New<&Lens>(env));
}

}  // namespace gapcam
