// Status: what a call below the binding answers instead of throwing.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace gapcam {

// A code and one sentence, without allocation. The codes are those of src/errors.ts.
class [[nodiscard]] Status {
 public:
  Status() = default;

  static Status Ok() { return Status(); }

  // code: a string literal such as "MODEL_INVALID". The message is cut at 255 bytes.
  __attribute__((format(printf, 2, 3))) static Status Error(const char* code, const char* format, ...) {
    Status status;
    status.code_ = code;
    va_list args;
    va_start(args, format);
    std::vsnprintf(status.message_, sizeof(status.message_), format, args);
    va_end(args);
    return status;
  }

  bool ok() const { return code_ == nullptr; }
  const char* code() const { return code_ ? code_ : ""; }
  const char* message() const { return message_; }

 private:
  const char* code_ = nullptr;
  char message_[256] = "";
};

}  // namespace gapcam
