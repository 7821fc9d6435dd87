// A camera's controls in JavaScript: videoControls(path) and setVideoControl(path, id, value). Both make a few ioctls.
#include "../capture/controls.h"

#include "errors.h"
#include "init.h"

namespace gapcam {
namespace {

constexpr const char* kKindNames[] = {"integer", "boolean", "menu"};

Napi::Object ToObject(Napi::Env env, const VideoControl& control) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("id", control.id);
  object.Set("name", control.name);
  object.Set("kind", kKindNames[static_cast<int>(control.kind)]);
  object.Set("min", static_cast<double>(control.minimum));
  object.Set("max", static_cast<double>(control.maximum));
  object.Set("step", static_cast<double>(control.step));
  object.Set("default", static_cast<double>(control.default_value));
  object.Set("value", static_cast<double>(control.value));
  object.Set("isActive", control.is_active);
  object.Set("isReadOnly", control.is_read_only);
  Napi::Array menu = Napi::Array::New(env, control.menu.size());
  for (uint32_t i = 0; i < control.menu.size(); ++i) {
    Napi::Object choice = Napi::Object::New(env);
    choice.Set("value", static_cast<double>(control.menu[i].value));
    choice.Set("name", control.menu[i].name);
    menu.Set(i, choice);
  }
  object.Set("menu", menu);
  return object;
}

Napi::Value VideoControls(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsString()) {
    return RefuseArguments(env, "Expected a device path for videoControls");
  }
  std::vector<VideoControl> controls;
  const Status status = ReadControls(info[0].As<Napi::String>().Utf8Value(), &controls);
  if (!status.ok()) {
    return Throw(env, status);
  }
  Napi::Array list = Napi::Array::New(env, controls.size());
  for (uint32_t i = 0; i < controls.size(); ++i) list.Set(i, ToObject(env, controls[i]));
  return list;
}

Napi::Value SetVideoControl(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 3 || !info[0].IsString() || !info[1].IsNumber() || !info[2].IsNumber()) {
    return RefuseArguments(env, "Expected a device path, a control's number and a value for setVideoControl");
  }
  const Status status = SetControl(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::Number>().Uint32Value(),
                                   info[2].As<Napi::Number>().Int32Value());
  return status.ok() ? env.Undefined() : Throw(env, status);
}

}  // namespace

void InitControls(Napi::Env env, Napi::Object exports) {
  exports.Set("videoControls", Napi::Function::New(env, VideoControls, "videoControls"));
  exports.Set("setVideoControl", Napi::Function::New(env, SetVideoControl, "setVideoControl"));
}

}  // namespace gapcam
