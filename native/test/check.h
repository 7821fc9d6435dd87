// The native tests' own frame: a test is a function that registers itself, an expectation that fails is printed and
// counted, and main.cc ends with `N passed, N failed, N skipped`. No library, so that it builds for any target.
#pragma once
#include <cstdio>

namespace gapcam_test {

// A test: TEST("what it promises") { … }. Tests run in the order of their files and lines.
class Test {
 public:
  Test(const char* file, const char* title, void (*body)());

  const char* file;
  const char* title;
  void (*body)();
  Test* next = nullptr;
};

// Marks the running test as failed, with where and why. Only the first few of a test are printed.
__attribute__((format(printf, 3, 4))) void Fail(const char* file, int line, const char* format, ...);
// Marks the running test as skipped; it should return at once.
void Skip(const char* reason);

#define GAPCAM_JOIN2(a, b) a##b
#define GAPCAM_JOIN(a, b) GAPCAM_JOIN2(a, b)
#define TEST(title)                                                                                   \
  static void GAPCAM_JOIN(Body, __LINE__)();                                                          \
  static gapcam_test::Test GAPCAM_JOIN(test, __LINE__)(__FILE__, title, GAPCAM_JOIN(Body, __LINE__)); \
  static void GAPCAM_JOIN(Body, __LINE__)()

#define EXPECT(condition, ...)                                            \
  do {                                                                    \
    if (!(condition)) gapcam_test::Fail(__FILE__, __LINE__, __VA_ARGS__); \
  } while (0)

}  // namespace gapcam_test
