// The watching thread; see main_watch.h.
#include "main_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace gapcam {
namespace {

// The thread counts its own intervals instead of elapsed time. After a SIGSTOP or a debugger, both threads continue
// where they were, and the stop is not mistaken for a hang.
constexpr uint32_t kIntervalMs = 250;

}  // namespace

MainWatch::MainWatch(uint32_t limit_ms, int status, std::string final_message, std::string mark_file)
    : limit_ms_(limit_ms),
      status_(status),
      final_message_(std::move(final_message)),
      mark_file_(std::move(mark_file)),
      thread_([this] { Loop(); }) {}

MainWatch::~MainWatch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void MainWatch::Loop() {
  uint32_t seen = beats_.load(std::memory_order_relaxed);
  uint32_t silent_ms = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::milliseconds(kIntervalMs), [this] { return stopping_; })) {
    const uint32_t now = beats_.load(std::memory_order_relaxed);
    silent_ms = now == seen ? silent_ms + kIntervalMs : 0;
    seen = now;
    if (silent_ms < limit_ms_) continue;
    const ssize_t written = write(STDERR_FILENO, final_message_.data(), final_message_.size());
    (void)written;
    if (!mark_file_.empty()) {
      const int mark = open(mark_file_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
      if (mark >= 0) close(mark);
    }
    _exit(status_);
  }
}

}  // namespace gapcam
