// WorkerThread: a thread with a queue of jobs, each of which settles a JavaScript promise when it is done. It keeps
// capture, the pixel path and inference off libuv's four threads, which DNS, files and sharp share.
#pragma once
#include <napi.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "../status.h"

namespace gapcam {

// A unit of work. Work() runs on the worker thread and must not use N-API. Afterwards Result() runs on the JavaScript
// thread and returns the value of the promise, unless Work() returned an error, which then rejects it.
class Job {
 public:
  virtual ~Job() = default;
  virtual Status Work() = 0;
  virtual Napi::Value Result(Napi::Env env) { return env.Undefined(); }

 private:
  friend class WorkerThread;
  Status status_;
  std::chrono::steady_clock::time_point posted_;
  std::unique_ptr<Napi::Promise::Deferred> deferred_;  // made and used on the JavaScript thread
};

// Belongs to the JavaScript thread: only that thread may call its members.
class WorkerThread {
 public:
  // `name` has at most 15 bytes. With a spin_time, the thread spins for that long after a job before it sleeps, while jobs
  // come that soon after one another: waking a sleeping thread takes tens of microseconds.
  WorkerThread(Napi::Env env, const char* name, std::chrono::microseconds spin_time = std::chrono::microseconds(0));
  ~WorkerThread();  // calls Stop()
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // Queues a job and returns its promise. The event loop stays alive only while jobs are pending.
  Napi::Promise Post(std::unique_ptr<Job> job);
  // Refuses further jobs, finishes those that are queued and joins the thread; the caller waits for that. A second call
  // does nothing.
  void Stop();

 private:
  struct State;  // shared with the thread and with Node's thread-safe function
  std::shared_ptr<State> state_;
  std::thread thread_;
};

// Posts a job to a thread that only the job keeps alive. The job has a `thread()` that returns it.
template <typename OwningJob>
Napi::Promise PostOwned(std::unique_ptr<OwningJob> job) {
  WorkerThread* thread = job->thread();
  return thread->Post(std::move(job));
}

}  // namespace gapcam
