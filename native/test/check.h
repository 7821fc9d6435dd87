// The frame of the native tests. A test is a function that registers itself; a failed expectation is printed and
// counted; main.cc ends with `N passed, N failed, N skipped`. It is no library, so the tests build for every target.
#pragma once
#include <cstdio>

namespace gapcam_test {

// A test: TEST("the behaviour") { … }. Tests of a file run in the order of their lines.
class Test {
 public:
  Test(const char* file, const char* title, void (*body)());

  const char* file;
  const char* title;
  void (*body)();
  Test* next = nullptr;
};

// Marks the running test as failed and prints where and why, up to five times per test.
__attribute__((format(printf, 3, 4))) void Fail(const char* file, int line, const char* format, ...);
// Marks the running test as skipped. The test must return at once.
void Skip(const char* reason);

// Defines a test; the body follows.
#define GAPCAM_JOIN2(a, b) a##b
#define GAPCAM_JOIN(a, b) GAPCAM_JOIN2(a, b)
#define TEST(title)                                                                                   \
  static void GAPCAM_JOIN(Body, __LINE__)();                                                          \
  static gapcam_test::Test GAPCAM_JOIN(test, __LINE__)(__FILE__, title, GAPCAM_JOIN(Body, __LINE__)); \
  static void GAPCAM_JOIN(Body, __LINE__)()

// Fails the test with a printf-style message if the condition is false. The test continues.
#define EXPECT(condition, ...)                                            \
  do {                                                                    \
    if (!(condition)) gapcam_test::Fail(__FILE__, __LINE__, __VA_ARGS__); \
  } while (0)

}  // namespace gapcam_test
