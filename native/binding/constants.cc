// Reads a plan's constants from JavaScript; see constants.h.
#include "constants.h"

#include "errors.h"
#include "init.h"

namespace gapcam {

void GivenConstants::ReleaseAll() const {
  if (!is_given) return;
  for (const ConstantChunk& chunk : constants.chunks) constants.release(chunk.bytes, chunk.size);
}

bool ReadConstants(Napi::Env env, const Napi::Value& given, GivenConstants* constants) {
  if (given.IsUndefined()) return true;
  const char* wrong = given.IsArray() ? nullptr : "Expected an array for constants";
  const Napi::Array chunks = wrong ? Napi::Array() : given.As<Napi::Array>();
  double end = 0;
  for (uint32_t i = 0; !wrong && i < chunks.Length(); ++i) {
    const Napi::HandleScope scope(env);
    const Napi::Value chunk = chunks.Get(i);
    const Napi::Value offset = chunk.IsObject() ? chunk.As<Napi::Object>().Get("offset") : env.Undefined();
    const Napi::Value bytes = chunk.IsObject() ? chunk.As<Napi::Object>().Get("bytes") : env.Undefined();
    if (!offset.IsNumber() || !bytes.IsTypedArray() ||
        bytes.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array ||
        !(offset.As<Napi::Number>().DoubleValue() >= end)) {
      wrong = "Expected rising offsets and a Uint8Array for each of the constants";
      break;
    }
    const Napi::Uint8Array array = bytes.As<Napi::Uint8Array>();
    constants->constants.chunks.push_back(
        {static_cast<uint64_t>(offset.As<Napi::Number>().Int64Value()), array.Data(), array.ByteLength()});
    end = offset.As<Napi::Number>().DoubleValue() + static_cast<double>(array.ByteLength());
  }
  if (wrong) {
    RefuseArguments(env, wrong);
    return false;
  }
  constants->is_given = true;
  constants->keep = std::make_shared<Napi::ObjectReference>(Napi::Persistent(given.As<Napi::Object>()));
  constants->constants.release = [maps = env.GetInstanceData<AddonData>()->maps](const void* bytes, size_t size) {
    maps->Release(bytes, size);
  };
  return true;
}

}  // namespace gapcam
