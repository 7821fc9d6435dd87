// What Node cannot do for a service: datagrams to the service manager, a watch over the main thread, an end that waits
// for nothing.
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>

#include "../service/main_watch.h"
#include "../service/notify.h"
#include "init.h"

namespace gapcam {
namespace {

Napi::Value Notify(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsString()) {
    Napi::TypeError::New(env, "Expected a socket's name and a state for notify").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const std::string socket_name = info[0].As<Napi::String>(), state = info[1].As<Napi::String>();
  const int error = SendNotification(socket_name.c_str(), state.data(), state.size());
  if (error != 0) {
    Napi::Error thrown = Napi::Error::New(env, std::strerror(error));
    thrown.Value().Set("errno", error);
    thrown.ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

Napi::Value ExitNow(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsNumber()) {
    Napi::TypeError::New(info.Env(), "Expected a status for exitNow").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  _exit(info[0].As<Napi::Number>().Int32Value());
}

// watchMainThread(limitMs, status, lastWords): {beat(), stop()}
Napi::Value WatchMainThread(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 3 || !info[0].IsNumber() || !info[1].IsNumber() || !info[2].IsString()) {
    Napi::TypeError::New(env, "Expected milliseconds, a status and last words for watchMainThread")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto watch = std::make_shared<std::unique_ptr<MainWatch>>(
      std::make_unique<MainWatch>(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Int32Value(),
                                  info[2].As<Napi::String>().Utf8Value()));
  Napi::Object object = Napi::Object::New(env);
  object.Set("beat", Napi::Function::New(
                         env,
                         [watch](const Napi::CallbackInfo&) {
                           if (*watch) (*watch)->Beat();
                         },
                         "beat"));
  object.Set("stop", Napi::Function::New(env, [watch](const Napi::CallbackInfo&) { watch->reset(); }, "stop"));
  return object;
}

}  // namespace

void InitService(Napi::Env env, Napi::Object exports) {
  exports.Set("notify", Napi::Function::New(env, Notify, "notify"));
  exports.Set("exitNow", Napi::Function::New(env, ExitNow, "exitNow"));
  exports.Set("watchMainThread", Napi::Function::New(env, WatchMainThread, "watchMainThread"));
}

}  // namespace gapcam
