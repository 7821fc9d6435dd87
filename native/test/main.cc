// Runs all native tests, or those whose title contains the first argument.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "check.h"

namespace gapcam_test {
namespace {

Test* first = nullptr;
Test** end = &first;
int failures = 0;               // of the running test
const char* skipped = nullptr;  // why the running test was skipped

}  // namespace

Test::Test(const char* file, const char* title, void (*body)()) : file(file), title(title), body(body) {
  *end = this;
  end = &next;
}

void Fail(const char* file, int line, const char* format, ...) {
  if (++failures > 5) return;
  std::printf("    %s:%d: ", std::strrchr(file, '/') ? std::strrchr(file, '/') + 1 : file, line);
  va_list args;
  va_start(args, format);
  std::vprintf(format, args);
  va_end(args);
  std::printf("\n");
}

void Skip(const char* reason) { skipped = reason; }

static int RunAll(const char* filter) {
  int passed = 0, failed = 0, left_out = 0;
  for (Test* test = first; test; test = test->next) {
    if (filter && !std::strstr(test->title, filter)) continue;
    failures = 0;
    skipped = nullptr;
    test->body();
    if (failures > 0)
      ++failed;
    else
      ++(skipped ? left_out : passed);
    std::printf("%s  %s%s%s\n",
                failures > 0 ? "FAILED"
                : skipped    ? "skipped"
                             : "ok",
                test->title, skipped ? ": " : "", skipped ? skipped : "");
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, left_out);
  return failed > 0 || passed == 0 ? 1 : 0;
}

}  // namespace gapcam_test

int main(int count, char** arguments) { return gapcam_test::RunAll(count > 1 ? arguments[1] : nullptr); }
