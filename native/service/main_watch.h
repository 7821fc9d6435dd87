// Detects that the main thread hangs and ends the process, because nothing else in the process can.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace gapcam {

// A thread that expects regular beats from the main thread.
class MainWatch {
 public:
  // Without a Beat() for limit_ms the process writes final_message to stderr, creates mark_file unless that is empty, and
  // ends at once with this status: no destructor runs and no thread is waited for. Time during which the whole process was
  // stopped does not count.
  MainWatch(uint32_t limit_ms, int status, std::string final_message, std::string mark_file);
  ~MainWatch();
  MainWatch(const MainWatch&) = delete;
  MainWatch& operator=(const MainWatch&) = delete;

  // Cheap; any thread may call it.
  void Beat() { beats_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void Loop();

  const uint32_t limit_ms_;
  const int status_;
  const std::string final_message_;
  const std::string mark_file_;
  std::atomic<uint32_t> beats_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace gapcam
