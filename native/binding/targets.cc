// The targets of the CPU's kernels in JavaScript: describeTargets() lists them, measurePeak(target) measures one.
#include <string>

#include "../plan/executor.h"
#include "errors.h"
#include "init.h"

namespace gapcam {
namespace {

Napi::Value DescribeTargets(const Napi::CallbackInfo& info) {
  uint32_t count = 0;
  const Target* const* targets = Targets(&count);
  Napi::Array array = Napi::Array::New(info.Env(), count);
  for (uint32_t i = 0; i < count; ++i) {
    const char* reason = targets[i]->unsupported();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("name", targets[i]->name);
    object.Set("supported", reason == nullptr);
    object.Set("reason", reason ? reason : "");
    array.Set(i, object);
  }
  return array;
}

Napi::Value MeasurePeak(const Napi::CallbackInfo& info) {
  const char* reason = "";
  const std::string name = info.Length() > 0 && info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  const Target* target = ChooseTarget(name.empty() ? nullptr : name.c_str(), &reason);
  if (target) return Napi::Number::New(info.Env(), target->measure_peak());
  return Throw(info.Env(), Status::Error("ENGINE_UNAVAILABLE", "%s", reason));
}

}  // namespace

void InitTargets(Napi::Env env, Napi::Object exports) {
  exports.Set("describeTargets", Napi::Function::New(env, DescribeTargets, "describeTargets"));
  exports.Set("measurePeak", Napi::Function::New(env, MeasurePeak, "measurePeak"));
}

}  // namespace gapcam
