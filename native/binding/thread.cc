// The queue of a WorkerThread and how its jobs are settled.
#include "thread.h"

#include <pthread.h>

#include <atomic>

#include "../plan/pool.h"
#include "errors.h"

namespace gapcam {

struct WorkerThread::State {
  napi_env env = nullptr;
  napi_threadsafe_function tsfn = nullptr;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::unique_ptr<Job>> queue;  // under mutex
  bool stopping = false;                   // under mutex
  std::atomic<uint32_t> posted{0};         // increases with every job, and when the thread stops
  std::chrono::microseconds spin_time{0};
  uint32_t pending = 0;  // on the JavaScript thread only

  // Settles a job's promise, on the JavaScript thread. Without an environment the process is ending and no promise is
  // left.
  static void Settle(napi_env env, napi_value, void* context, void* data) {
    const std::unique_ptr<Job> job(static_cast<Job*>(data));
    if (!env) return;
    auto* state = static_cast<State*>(context);
    if (--state->pending == 0) napi_unref_threadsafe_function(env, state->tsfn);
    Napi::HandleScope scope(env);
    if (!job->status_.ok()) {
      job->deferred_->Reject(ToError(env, job->status_).Value());
      return;
    }
    const Napi::Value result = job->Result(env);
    if (Napi::Env(env).IsExceptionPending())
      job->deferred_->Reject(Napi::Env(env).GetAndClearPendingException().Value());
    else
      job->deferred_->Resolve(result);
  }

  static void Finalize(napi_env, void* data, void*) { delete static_cast<std::shared_ptr<State>*>(data); }

  // Spins until a job is posted after `known` jobs, or until spin_time ends.
  void Spin(uint32_t known) const {
    const auto end = std::chrono::steady_clock::now() + spin_time;
    while (posted.load(std::memory_order_acquire) == known && std::chrono::steady_clock::now() < end) Pause();
  }

  void Loop() {
    std::chrono::steady_clock::time_point ended;
    bool is_busy = false;  // the last job came soon after the one before: so may the next one
    for (uint32_t taken = 0;; ++taken) {
      std::unique_ptr<Job> job;
      if (is_busy) Spin(taken);
      {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [this] { return stopping || !queue.empty(); });
        if (queue.empty()) return;
        job = std::move(queue.front());
        queue.pop_front();
      }
      is_busy = taken > 0 && job->posted_ - ended < spin_time;
      job->status_ = job->Work();
      ended = std::chrono::steady_clock::now();
      Job* done = job.release();
      // Node refuses the call if the environment is gone. Then no promise waits for the job.
      if (napi_call_threadsafe_function(tsfn, done, napi_tsfn_nonblocking) != napi_ok) delete done;
    }
  }
};

namespace {

// The same function is added and removed, because Node identifies a hook by its address.
void StopAtExit(void* self) { static_cast<WorkerThread*>(self)->Stop(); }

}  // namespace

WorkerThread::WorkerThread(Napi::Env env, const char* name, std::chrono::microseconds spin_time)
    : state_(std::make_shared<State>()) {
  state_->env = env;
  state_->spin_time = spin_time;
  auto* kept = new std::shared_ptr<State>(state_);
  napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, name), 0, 1, kept, State::Finalize,
                                  state_.get(), State::Settle, &state_->tsfn);
  napi_unref_threadsafe_function(env, state_->tsfn);
  napi_add_env_cleanup_hook(env, StopAtExit, this);
  thread_ = std::thread([state = state_] { state->Loop(); });
  pthread_setname_np(thread_.native_handle(), name);  // Linux keeps 15 bytes of a name
}

WorkerThread::~WorkerThread() {
  napi_remove_env_cleanup_hook(state_->env, StopAtExit, this);
  Stop();
}

Napi::Promise WorkerThread::Post(std::unique_ptr<Job> job) {
  job->posted_ = std::chrono::steady_clock::now();
  job->deferred_ = std::make_unique<Napi::Promise::Deferred>(state_->env);
  const Napi::Promise promise = job->deferred_->Promise();
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    if (state_->stopping) {
      job->deferred_->Reject(
          ToError(state_->env, Status::Error("ENGINE_FAILED", "the session or camera is closed")).Value());
      return promise;
    }
    if (state_->pending++ == 0) napi_ref_threadsafe_function(state_->env, state_->tsfn);
    state_->queue.push_back(std::move(job));
    state_->posted.fetch_add(1, std::memory_order_release);
  }
  state_->wake.notify_one();
  return promise;
}

void WorkerThread::Stop() {
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    if (state_->stopping && !thread_.joinable()) return;
    state_->stopping = true;
    state_->posted.fetch_add(1, std::memory_order_release);
  }
  state_->wake.notify_one();
  if (thread_.joinable()) {
    thread_.join();
    napi_release_threadsafe_function(state_->tsfn, napi_tsfn_release);
  }
}

}  // namespace gapcam
