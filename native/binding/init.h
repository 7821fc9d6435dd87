// What each file of the binding adds to the addon's exports, and the state of one JavaScript environment.
#pragma once
#include <napi.h>

#include <memory>

#include "file.h"

namespace gapcam {

// Instance data. Every worker thread of Node loads the addon again, so none of this may be global.
struct AddonData {
  Napi::FunctionReference session;
  Napi::FunctionReference cuda_session;
  Napi::FunctionReference cuda_frame_pass;
  Napi::FunctionReference captured_frame;
  std::shared_ptr<FileMaps> maps = std::make_shared<FileMaps>();
};

// Each adds its functions and classes to `exports`, once per environment.
void InitSession(Napi::Env env, Napi::Object exports, AddonData* data);
void InitTargets(Napi::Env env, Napi::Object exports);
void InitCuda(Napi::Env env, Napi::Object exports, AddonData* data);
void InitFile(Napi::Env env, Napi::Object exports);
void InitFingerprint(Napi::Env env, Napi::Object exports);
void InitMemory(Napi::Env env, Napi::Object exports);
void InitAnchor(Napi::Env env, Napi::Object exports);
void InitImage(Napi::Env env, Napi::Object exports);
void InitJpeg(Napi::Env env, Napi::Object exports);
void InitMeasure(Napi::Env env, Napi::Object exports);
void InitTeach(Napi::Env env, Napi::Object exports);
void InitCapture(Napi::Env env, Napi::Object exports, AddonData* data);
void InitControls(Napi::Env env, Napi::Object exports);
void InitService(Napi::Env env, Napi::Object exports);

}  // namespace gapcam
