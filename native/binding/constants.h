// A plan's constants as JavaScript hands them over: views of the model's file, which stay until the session is open.
#pragma once
#include <napi.h>

#include <memory>

#include "../plan/executor.h"

namespace gapcam {

struct GivenConstants {
  bool is_given = false;  // else the plan's own buffer has them
  Constants constants;
  std::shared_ptr<Napi::ObjectReference> keep;  // the arrays that hold them

  const Constants* get() const { return is_given ? &constants : nullptr; }
  // Lets the mapped pages go, so that they come back one after the other while the constants are read.
  void ReleaseAll() const;
};

// Reads [{ offset, bytes }] in the order of the offsets, as ConstantPool makes them; false with a pending exception.
bool ReadConstants(Napi::Env env, const Napi::Value& given, GivenConstants* constants);

}  // namespace gapcam
