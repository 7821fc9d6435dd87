// The addon's registration, and nothing else.
#include <napi.h>

#include "binding/init.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  gapcam::InitSession(env, exports);
  gapcam::InitImage(env, exports);
  gapcam::InitCapture(env, exports);
  return exports;
}

NODE_API_MODULE(gapcam, Init)
