// WorkerThread: one thread of ours with a queue of jobs, each resolving a JavaScript promise when it is done. Keeps
// capture, the pixel path and inference off libuv's four threads, which DNS, files and sharp share.
#pragma once
#include <napi.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "../status.h"

namespace gapcam {

// A unit of work: Work() runs on the thread and touches no N-API; Result() runs on the JavaScript thread afterwards.
class Job {
 public:
  virtual ~Job() = default;
  virtual Status Work() = 0;
  virtual Napi::Value Result(Napi::Env env) { return env.Undefined(); }

 private:
  friend class WorkerThread;
  Status status_;
  std::unique_ptr<Napi::Promise::Deferred> deferred_;  // made and used on the JavaScript thread
};

// Makes a JavaScript Error with `code` set, for src/engine and src/camera to turn into a GapcamError.
Napi::Error ToError(Napi::Env env, const Status& status);

class WorkerThread {
 public:
  // A thread that expects the next job soon after the last looks out for it during `patience` before it sleeps: waking
  // a sleeping thread takes tens of microseconds.
  WorkerThread(Napi::Env env, const char* name, std::chrono::microseconds patience = std::chrono::microseconds(0));
  ~WorkerThread();  // as Stop()
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // Queues a job, takes it over, and returns its promise. The event loop stays alive while jobs are pending only.
  Napi::Promise Post(std::unique_ptr<Job> job);
  // Refuses further jobs, works off those that are queued and joins the thread: the caller waits so long. Safe to call twice.
  void Stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace gapcam
