// How native code reports to JavaScript. Each function leaves an exception pending and returns undefined, so that a
// binding can write `return RefuseArguments(env, "…")`.
#pragma once
#include <napi.h>

#include "../status.h"

namespace gapcam {

// A JavaScript Error with the status's message and its code as `code`. src/ turns it into a GapcamError.
Napi::Error ToError(Napi::Env env, const Status& status);

// Throws the status.
Napi::Value Throw(Napi::Env env, const Status& status);

// Throws an Error with the system's text for an errno, and the number as `errno`.
Napi::Value ThrowErrno(Napi::Env env, int error);

// Throws a TypeError: the caller passed wrong arguments.
Napi::Value RefuseArguments(Napi::Env env, const char* sentence);

}  // namespace gapcam
