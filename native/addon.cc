// Registers the addon's exports. The files in binding/ define them.
#include <napi.h>

#include "binding/init.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* data = new gapcam::AddonData();
  env.SetInstanceData(data);
  gapcam::InitSession(env, exports, data);
  gapcam::InitTargets(env, exports);
  gapcam::InitCuda(env, exports, data);
  gapcam::InitFile(env, exports);
  gapcam::InitFingerprint(env, exports);
  gapcam::InitMemory(env, exports);
  gapcam::InitAnchor(env, exports);
  gapcam::InitImage(env, exports);
  gapcam::InitJpeg(env, exports);
  gapcam::InitMeasure(env, exports);
  gapcam::InitTeach(env, exports);
  gapcam::InitCapture(env, exports, data);
  gapcam::InitControls(env, exports);
  gapcam::InitService(env, exports);
  return exports;
}

NODE_API_MODULE(gapcam, Init)
