// A plan's constants as JavaScript passes them: views of the model's file, which stay mapped until the session is open.
#pragma once
#include <napi.h>

#include <memory>

#include "../plan/executor.h"

namespace gapcam {

// Empty if the plan's own buffer holds the constants.
struct GivenConstants {
  bool is_given = false;
  Constants constants;
  std::shared_ptr<Napi::ObjectReference> keep;  // keeps the arrays alive that hold the bytes

  const Constants* get() const { return is_given ? &constants : nullptr; }
  // Drops the mapped pages. They are read again one after the other while the constants are packed, so that they are
  // not all in memory at once.
  void ReleaseAll() const;
};

// Reads [{ offset, bytes }], ordered by offset, as the compiler's ConstantPool makes them. Undefined gives no
// constants. Returns false with a pending exception if the value is anything else.
bool ReadConstants(Napi::Env env, const Napi::Value& given, GivenConstants* constants);

}  // namespace gapcam
