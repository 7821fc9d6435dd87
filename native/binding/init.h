// What each file of the binding adds to the addon's exports.
#pragma once
#include <napi.h>

namespace gapcam {

void InitSession(Napi::Env env, Napi::Object exports);
void InitImage(Napi::Env env, Napi::Object exports);
void InitCapture(Napi::Env env, Napi::Object exports);

}  // namespace gapcam
