// Exceptions of the binding; see errors.h.
#include "errors.h"

#include <cstring>

namespace gapcam {

Napi::Error ToError(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message());
  error.Value().Set("code", Napi::String::New(env, status.code()));
  return error;
}

Napi::Value Throw(Napi::Env env, const Status& status) {
  ToError(env, status).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value ThrowErrno(Napi::Env env, int error) {
  Napi::Error thrown = Napi::Error::New(env, std::strerror(error));
  thrown.Value().Set("errno", error);
  thrown.ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value RefuseArguments(Napi::Env env, const char* sentence) {
  Napi::TypeError::New(env, sentence).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace gapcam
