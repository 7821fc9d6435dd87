// What Node cannot do for a service: datagrams to the service manager, supervision of the main thread, and an exit that
// waits for nothing.
#include <unistd.h>

#include <memory>
#include <string>

#include "../service/main_watch.h"
#include "../service/notify.h"
#include "errors.h"
#include "init.h"

namespace gapcam {
namespace {

// notify(socketName, state)
Napi::Value Notify(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsString()) {
    return RefuseArguments(env, "Expected a socket's name and a state for notify");
  }
  const std::string socket_name = info[0].As<Napi::String>(), state = info[1].As<Napi::String>();
  const int error = SendNotification(socket_name.c_str(), state.data(), state.size());
  return error == 0 ? env.Undefined() : ThrowErrno(env, error);
}

// exitNow(status): no destructor and no exit handler runs
Napi::Value ExitNow(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsNumber()) {
    return RefuseArguments(info.Env(), "Expected a status for exitNow");
  }
  _exit(info[0].As<Napi::Number>().Int32Value());
}

// watchMainThread(limitMs, status, finalMessage, markFile = ""): {beat(), stop()}
Napi::Value WatchMainThread(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 3 || !info[0].IsNumber() || !info[1].IsNumber() || !info[2].IsString()) {
    return RefuseArguments(env, "Expected milliseconds, a status and a final message for watchMainThread");
  }
  const auto watch = std::make_shared<std::unique_ptr<MainWatch>>(std::make_unique<MainWatch>(
      info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Int32Value(),
      info[2].As<Napi::String>().Utf8Value(),
      info.Length() > 3 && info[3].IsString() ? info[3].As<Napi::String>().Utf8Value() : ""));
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
