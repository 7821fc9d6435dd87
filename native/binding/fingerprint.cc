// The fingerprint of bytes in JavaScript: fingerprint(bytes) is 128 bits as 32 hexadecimal digits. It tells files apart,
// at the speed of memory where sha256 takes as long as opening the model does. It is no defence against a file that was
// made to collide.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "errors.h"
#include "init.h"

namespace gapcam {
namespace {

constexpr int kLanes = 8;
constexpr size_t kStripe = kLanes * sizeof(uint64_t);
constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;  // 2^64 over the golden ratio

uint64_t Rotated(uint64_t value, int bits) { return value << bits | value >> (64 - bits); }

// One to one in `state` for every word, and in `word` for every state: one changed word always changes the lane.
uint64_t Mixed(uint64_t state, uint64_t word) { return Rotated((state ^ word) * kOdd, 29); }

void MixStripe(const uint8_t* bytes, uint64_t* lanes) {
  uint64_t words[kLanes];
  std::memcpy(words, bytes, kStripe);
  for (int i = 0; i < kLanes; ++i) lanes[i] = Mixed(lanes[i], words[i]);
}

uint64_t Folded(const uint64_t* lanes, uint64_t seed) {
  for (int i = 0; i < kLanes; ++i) {
    seed = Mixed(seed, lanes[i]);
    seed ^= seed >> 32;
  }
  seed *= kOdd;
  return seed ^ seed >> 29;
}

Napi::Value Fingerprint(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    return RefuseArguments(env, "Expected a Uint8Array for fingerprint");
  }
  const Napi::Uint8Array array = info[0].As<Napi::Uint8Array>();
  const uint8_t* bytes = array.Data();
  const size_t size = array.ByteLength();
  uint64_t lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = kOdd * static_cast<uint64_t>(i + 1);
  size_t at = 0;
  for (; size - at >= kStripe; at += kStripe) MixStripe(bytes + at, lanes);
  uint8_t rest[kStripe] = {};
  if (at < size) std::memcpy(rest, bytes + at, size - at);
  MixStripe(rest, lanes);
  char text[33];
  std::snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64, Folded(lanes, size), Folded(lanes, ~uint64_t{size}));
  return Napi::String::New(env, text);
}

}  // namespace

void InitFingerprint(Napi::Env env, Napi::Object exports) {
  exports.Set("fingerprint", Napi::Function::New(env, Fingerprint, "fingerprint"));
}

}  // namespace gapcam
