// Sessions in JavaScript: openSession(plan, options) reads and packs the plan on a new thread, and run() computes
// there; look(pass, frame, pixels) prepares the input from a frame first, in the same job. A session's tensors are typed
// arrays over its arena, which lives as long as any of them.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "../plan/executor.h"
#include "constants.h"
#include "errors.h"
#include "init.h"
#include "pixels.h"
#include "ports.h"
#include "thread.h"

namespace gapcam {
namespace {

// Shorter runs are computed on the JavaScript thread: they block it no longer than a handover to the thread would.
constexpr int64_t kShortNs = 150'000;
// At full rate the next run is posted within this time after a result.
constexpr std::chrono::microseconds kSpinTime(60);

// After this many runs a session is likely to go on.
constexpr uint32_t kManyRuns = 16;

// The options of openSession.
struct SessionOptions {
  uint32_t threads = 1;
  const Target* target = nullptr;
  GivenConstants constants;
};

// An open executor. Only the JavaScript thread uses the other members.
struct Running {
  std::shared_ptr<Executor> executor;
  uint32_t pending = 0;  // jobs that are posted and not settled
  uint32_t runs = 0;
  int64_t nanoseconds = INT64_MAX;  // of the last run
};

// A job on an open session; counts itself as pending.
class SessionJob : public Job {
 public:
  explicit SessionJob(std::shared_ptr<Running> running) : running_(std::move(running)) { ++running_->pending; }
  ~SessionJob() override { --running_->pending; }

 protected:
  const std::shared_ptr<Running> running_;
};

// The nanoseconds since a moment.
int64_t Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
}

// Runs the network, of a look after the pixel pass.
class RunJob final : public SessionJob {
 public:
  using SessionJob::SessionJob;
  RunJob(std::shared_ptr<Running> running, std::shared_ptr<PixelPass> pass, GivenFrame frame)
      : SessionJob(std::move(running)), pass_(std::move(pass)), frame_(std::move(frame)) {}

  Status Work() override {
    const auto start = std::chrono::steady_clock::now();
    Executor& executor = *running_->executor;
    if (pass_) {
      const Plan& plan = executor.plan();
      const Status status = frame_.Outcome(pass_->Run(frame_.source, executor.data(plan.inputs[0].tensor)));
      if (!status.ok()) return status;
      pass_nanoseconds_ = Since(start);
    }
    executor.Run();
    nanoseconds_ = Since(start);
    return Status::Ok();
  }

  Napi::Value Result(Napi::Env env) override {
    running_->nanoseconds = nanoseconds_;
    return pass_ ? Napi::Number::New(env, static_cast<double>(pass_nanoseconds_) * 1e-6) : env.Undefined();
  }

 private:
  const std::shared_ptr<PixelPass> pass_;  // null: the input is written already
  const GivenFrame frame_;
  int64_t pass_nanoseconds_ = 0, nanoseconds_ = 0;
};

class ProfileJob final : public SessionJob {
 public:
  ProfileJob(std::shared_ptr<Running> running, uint32_t rounds) : SessionJob(std::move(running)), rounds_(rounds) {}
  Status Work() override {
    nanoseconds_ = running_->executor->Profile(rounds_);
    return Status::Ok();
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Float64Array array = Napi::Float64Array::New(env, nanoseconds_.size());
    std::copy(nanoseconds_.begin(), nanoseconds_.end(), array.Data());
    return array;
  }

 private:
  uint32_t rounds_;
  std::vector<double> nanoseconds_;
};

class Session final : public Napi::ObjectWrap<Session> {
 public:
  explicit Session(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Session>(info) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Session",
                       {
                           InstanceMethod<&Session::Run>("run"),
                           InstanceMethod<&Session::RunSync>("runSync"),
                           InstanceMethod<&Session::Look>("look"),
                           InstanceMethod<&Session::Close>("close"),
                           InstanceMethod<&Session::Profile>("profile"),
                       });
  }

  void Take(Napi::Env env, std::shared_ptr<Executor> executor, std::unique_ptr<WorkerThread> thread) {
    running_ = std::make_shared<Running>();
    running_->executor = executor;
    thread_ = std::move(thread);
    Napi::Object self = Value();
    const Plan& plan = executor->plan();
    self.Set("inputs", PortsOf(
                           env, plan, plan.inputs,
                           [&](uint32_t port) { return executor->data(plan.inputs[port].tensor); }, executor));
    self.Set("outputs", PortsOf(
                            env, plan, plan.outputs,
                            [&](uint32_t port) { return executor->data(plan.outputs[port].tensor); }, executor));
    self.Set("target", executor->target().name);
    self.Set("threads", executor->threads());
    self.Set("arenaBytes", static_cast<double>(plan.arena_bytes));
    self.Set("packedBytes", static_cast<double>(executor->packed_bytes()));
    self.Set("steps", Steps(env, *executor));
  }

 private:
  static Napi::Array Steps(Napi::Env env, const Executor& executor) {
    const Plan& plan = executor.plan();
    Napi::Array steps = Napi::Array::New(env, executor.step_count());
    for (uint32_t i = 0; i < executor.step_count(); ++i) {
      const PlanStep& step = plan.steps[i];
      Napi::Object object = Napi::Object::New(env);
      object.Set("name", step.name);
      object.Set("kind", step.shape().name);
      object.Set("kernel", executor.op(i).Kernel());
      object.Set("flops", static_cast<double>(executor.op(i).Flops()));
      uint64_t read = 0, weights = 0, written = 0;
      for (uint32_t id : step.inputs)
        if (id != kAbsent) (plan.tensors[id].is_constant ? weights : read) += plan.tensors[id].bytes;
      for (uint32_t id : step.outputs)
        if (id != kAbsent) written += plan.tensors[id].bytes;
      object.Set("inputBytes", static_cast<double>(read));
      object.Set("weightBytes", static_cast<double>(weights));
      object.Set("outputBytes", static_cast<double>(written));
      steps.Set(i, object);
    }
    return steps;
  }

  Napi::Value Refuse(Napi::Env env) { return Throw(env, Status::Error("ENGINE_FAILED", "the session is closed")); }

  Napi::Value Run(const Napi::CallbackInfo& info) {
    if (!running_) return Refuse(info.Env());
    return Start(info.Env(), std::make_unique<RunJob>(running_));
  }

  // look(pass, frame, pixels), the last two as for PixelPass.run → promise of the pass's milliseconds
  Napi::Value Look(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!running_) return Refuse(env);
    const std::shared_ptr<PixelPass> pass = PassOf(info[0]);
    GivenFrame frame;
    if (!pass || !ReadFrame(info[1], info[2], &frame))
      return RefuseArguments(env, "Expected a pixel pass, a frame and its pixels for look");
    const Plan& plan = running_->executor->plan();
    const PlanTensor* input = plan.inputs.size() == 1 ? &plan.tensors[plan.inputs[0].tensor] : nullptr;
    if (!input || input->type != ElementTypeOf(pass->spec()) || input->elements != ElementsOf(pass->spec()))
      return RefuseArguments(env, "Expected a pixel pass that writes the session's only input for look");
    return Start(env, std::make_unique<RunJob>(running_, pass, std::move(frame)));
  }

  Napi::Value RunSync(const Napi::CallbackInfo& info) {
    if (!running_) return Refuse(info.Env());
    running_->executor->Run();
    return info.Env().Undefined();
  }

  // Waits for the run in progress and releases the executor. Its memory lives on while a typed array uses it.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (thread_) thread_->Stop();
    running_.reset();
    const Napi::Promise::Deferred deferred(info.Env());
    deferred.Resolve(info.Env().Undefined());
    return deferred.Promise();
  }

  Napi::Value Profile(const Napi::CallbackInfo& info) {
    if (!running_) return Refuse(info.Env());
    const double rounds = info.Length() > 0 && info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
    if (!(rounds >= 1 && rounds <= 1e6)) {
      return RefuseArguments(info.Env(), "Expected 1 to 1000000 for rounds");
    }
    return Post(info.Env(), std::make_unique<ProfileJob>(running_, static_cast<uint32_t>(rounds)));
  }

  // A job that was short the last time is computed here if none is pending, because a handover to the thread would take
  // longer.
  Napi::Value Start(Napi::Env env, std::unique_ptr<RunJob> job) {
    if (++running_->runs == kManyRuns) running_->executor->CollapsePages();
    // The job counts as pending itself.
    if (running_->pending > 1 || running_->nanoseconds >= kShortNs) return Post(env, std::move(job));
    const Napi::Promise::Deferred deferred(env);
    const Status status = job->Work();
    if (status.ok())
      deferred.Resolve(job->Result(env));
    else
      deferred.Reject(ToError(env, status).Value());
    return deferred.Promise();
  }

  Napi::Value Post(Napi::Env env, std::unique_ptr<Job> job) {
    if (!thread_) thread_ = std::make_unique<WorkerThread>(env, "gapcam session", kSpinTime);
    return thread_->Post(std::move(job));
  }

  std::shared_ptr<Running> running_;
  std::unique_ptr<WorkerThread> thread_;
};

// Opens a session and moves its thread into the session.
class OpenJob final : public Job {
 public:
  OpenJob(Napi::Uint8Array plan, SessionOptions options, std::unique_ptr<WorkerThread> thread)
      : bytes_(plan.Data()),
        size_(plan.ByteLength()),
        options_(std::move(options)),
        thread_(std::move(thread)),
        plan_(Napi::Persistent(plan)) {}

  WorkerThread* thread() { return thread_.get(); }

  Status Work() override {
    std::unique_ptr<Executor> executor;
    options_.constants.ReleaseAll();
    const Status status =
        Executor::Open(bytes_, size_, *options_.target, options_.threads, &executor, options_.constants.get());
    executor_ = std::move(executor);
    return status;
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object object = env.GetInstanceData<AddonData>()->session.New({});
    Session::Unwrap(object)->Take(env, std::move(executor_), std::move(thread_));
    return object;
  }

 private:
  const uint8_t* bytes_;
  size_t size_;
  SessionOptions options_;
  std::unique_ptr<WorkerThread> thread_;
  std::shared_ptr<Executor> executor_;
  Napi::Reference<Napi::Uint8Array> plan_;  // keeps the bytes alive while they are read
};

// Reads (plan, options) of openSession. Returns false with a pending exception if they are wrong.
bool ReadArguments(const Napi::CallbackInfo& info, SessionOptions* options) {
  Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array || !info[1].IsObject()) {
    RefuseArguments(env, "Expected a Uint8Array and options for openSession");
    return false;
  }
  const Napi::Object given = info[1].As<Napi::Object>();
  const Napi::Value threads = given.Get("threads"), target = given.Get("target");
  const double count = threads.IsNumber() ? threads.As<Napi::Number>().DoubleValue() : 0;
  if (!(count >= 1 && count <= 64)) {
    RefuseArguments(env, "Expected 1 to 64 for threads");
    return false;
  }
  options->threads = static_cast<uint32_t>(count);
  if (!ReadConstants(env, given.Get("constants"), &options->constants)) return false;
  const std::string name = target.IsString() ? target.As<Napi::String>().Utf8Value() : "";
  const char* reason = "";
  options->target = ChooseTarget(target.IsString() ? name.c_str() : nullptr, &reason);
  if (!options->target) Throw(env, Status::Error("ENGINE_UNAVAILABLE", "%s", reason));
  return options->target != nullptr;
}

Napi::Value OpenSession(const Napi::CallbackInfo& info) {
  SessionOptions options;
  if (!ReadArguments(info, &options)) return info.Env().Undefined();
  auto job = std::make_unique<OpenJob>(info[0].As<Napi::Uint8Array>(), std::move(options),
                                       std::make_unique<WorkerThread>(info.Env(), "gapcam session", kSpinTime));
  return PostOwned(std::move(job));
}

Napi::Value OpenSessionSync(const Napi::CallbackInfo& info) {
  SessionOptions options;
  if (!ReadArguments(info, &options)) return info.Env().Undefined();
  OpenJob job(info[0].As<Napi::Uint8Array>(), std::move(options), nullptr);
  const Status status = job.Work();
  if (status.ok()) return job.Result(info.Env());
  return Throw(info.Env(), status);
}

}  // namespace

void InitSession(Napi::Env env, Napi::Object exports, AddonData* data) {
  data->session = Napi::Persistent(Session::Define(env));
  exports.Set("openSession", Napi::Function::New(env, OpenSession, "openSession"));
  exports.Set("openSessionSync", Napi::Function::New(env, OpenSessionSync, "openSessionSync"));
}

}  // namespace gapcam
