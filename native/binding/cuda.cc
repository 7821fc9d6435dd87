// CUDA in JavaScript, each function on a thread of its own:
//   describeCuda()                      a driver and a device, if there are any
//   openCudaSession(plan, options)      a session as in session.cc; its framePass(spec) prepares frames on the GPU
//   compileCuda(source, options)        kernels, compiled by NVRTC
//   cudaOff()                           why CUDA is off for this process, or null
#include <memory>
#include <string>

#include "../cuda/frame.h"
#include "../cuda/nvrtc.h"
#include "constants.h"
#include "errors.h"
#include "init.h"
#include "pixels.h"
#include "ports.h"
#include "thread.h"

namespace gapcam {
namespace {

class DescribeJob final : public Job {
 public:
  explicit DescribeJob(std::unique_ptr<WorkerThread> thread) : thread_(std::move(thread)) {}

  WorkerThread* thread() { return thread_.get(); }

  Status Work() override {
    if (const char* sentence = cuda::PoisonedBy())
      return Status::Error("ENGINE_UNAVAILABLE", "CUDA is off for this process: %.200s", sentence);
    const cuda::Api* api = nullptr;
    const Status status = cuda::LoadDriver(&api);
    return status.ok() ? cuda::FindDevice(*api, &info_) : status;
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object device = Napi::Object::New(env);
    device.Set("name", info_.name);
    device.Set("major", info_.major);
    device.Set("minor", info_.minor);
    device.Set("multiprocessors", info_.multiprocessors);
    device.Set("isIntegrated", info_.is_integrated);
    device.Set("memoryBytes", static_cast<double>(info_.memory_bytes));
    device.Set("driverVersion", info_.driver_version);
    return device;
  }

 private:
  cuda::DeviceInfo info_;
  std::unique_ptr<WorkerThread> thread_;
};

Napi::Value DescribeCuda(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<DescribeJob>(std::make_unique<WorkerThread>(info.Env(), "gapcam cuda"));
  return PostOwned(std::move(job));
}

Napi::Value CudaOff(const Napi::CallbackInfo& info) {
  const char* sentence = cuda::PoisonedBy();
  return sentence ? Napi::String::New(info.Env(), sentence) : info.Env().Null();
}

class RunJob final : public Job {
 public:
  explicit RunJob(std::shared_ptr<cuda::CudaExecutor> executor) : executor_(std::move(executor)) {}
  Status Work() override { return executor_->Run(); }

 private:
  std::shared_ptr<cuda::CudaExecutor> executor_;
};

class FrameJob final : public Job {
 public:
  FrameJob(std::shared_ptr<cuda::FramePass> pass, GivenFrame frame)
      : pass_(std::move(pass)), frame_(std::move(frame)) {}
  Status Work() override { return frame_.Outcome(pass_->Run(frame_.source)); }

 private:
  std::shared_ptr<cuda::FramePass> pass_;
  GivenFrame frame_;
};

class ReleaseJob final : public Job {
 public:
  explicit ReleaseJob(std::shared_ptr<cuda::FramePass> pass) : pass_(std::move(pass)) {}
  Status Work() override {
    pass_->Release();
    return Status::Ok();
  }

 private:
  std::shared_ptr<cuda::FramePass> pass_;
};

// Prepares frames on its session's thread, between the session's runs, until the session is closed.
class CudaFramePass final : public Napi::ObjectWrap<CudaFramePass> {
 public:
  explicit CudaFramePass(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CudaFramePass>(info) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "CudaFramePass",
                       {InstanceMethod<&CudaFramePass::Run>("run"), InstanceMethod<&CudaFramePass::Close>("close")});
  }

  void Take(std::shared_ptr<cuda::FramePass> pass, std::shared_ptr<WorkerThread> thread) {
    pass_ = std::move(pass);
    thread_ = std::move(thread);
  }

 private:
  Napi::Value Run(const Napi::CallbackInfo& info) {
    GivenFrame frame;
    if (pass_ && ReadFrame(info[0], info[1], &frame))
      return thread_->Post(std::make_unique<FrameJob>(pass_, std::move(frame)));
    return RefuseArguments(info.Env(), "Expected a frame and its pixels for CudaFramePass.run");
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    return pass_ ? thread_->Post(std::make_unique<ReleaseJob>(pass_)) : info.Env().Undefined();
  }

  std::shared_ptr<cuda::FramePass> pass_;
  std::shared_ptr<WorkerThread> thread_;
};

class CudaSession final : public Napi::ObjectWrap<CudaSession> {
 public:
  explicit CudaSession(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CudaSession>(info) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "CudaSession",
                       {InstanceMethod<&CudaSession::Run>("run"), InstanceMethod<&CudaSession::FramePass>("framePass"),
                        InstanceMethod<&CudaSession::Close>("close")});
  }

  void Take(Napi::Env env, std::shared_ptr<cuda::CudaExecutor> executor, std::shared_ptr<WorkerThread> thread) {
    executor_ = std::move(executor);
    thread_ = std::move(thread);
    const Plan& plan = executor_->plan();
    Napi::Object self = Value();
    self.Set("inputs",
             PortsOf(env, plan, plan.inputs, [this](uint32_t port) { return executor_->input(port); }, executor_));
    self.Set("outputs",
             PortsOf(env, plan, plan.outputs, [this](uint32_t port) { return executor_->output(port); }, executor_));
    self.Set("launches", static_cast<uint32_t>(executor_->program().launches.size()));
    self.Set("weightBytes", static_cast<double>(executor_->weight_bytes()));
    self.Set("activationBytes", static_cast<double>(executor_->program().activation_bytes));
  }

 private:
  Napi::Value Run(const Napi::CallbackInfo& info) {
    if (executor_) return thread_->Post(std::make_unique<RunJob>(executor_));
    return Throw(info.Env(), Status::Error("ENGINE_FAILED", "the session is closed"));
  }

  Napi::Value FramePass(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    PixelSpec spec;
    const bool fits = executor_ && ReadPixelSpec(info[0], &spec) && !spec.is_bytes &&
                      executor_->plan().inputs.size() == 1 &&
                      executor_->plan().tensors[executor_->plan().inputs[0].tensor].elements ==
                          uint64_t{3} * spec.width * spec.height;
    if (!fits) {
      return RefuseArguments(env, "Expected a pixel spec of the session's one input for framePass");
    }
    Napi::Object object = env.GetInstanceData<AddonData>()->cuda_frame_pass.New({});
    CudaFramePass::Unwrap(object)->Take(std::make_shared<cuda::FramePass>(executor_, spec), thread_);
    return object;
  }

  // Waits for the run in progress and frees the device's memory. The memory of the typed arrays lives on while they do.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (thread_) thread_->Stop();
    if (executor_) executor_->Release();
    executor_.reset();
    const Napi::Promise::Deferred deferred(info.Env());
    deferred.Resolve(info.Env().Undefined());
    return deferred.Promise();
  }

  std::shared_ptr<cuda::CudaExecutor> executor_;
  std::shared_ptr<WorkerThread> thread_;
};

struct OpenArguments {
  Napi::Uint8Array plan, image;
  cuda::ExecutorOptions options;
  GivenConstants constants;
};

class OpenJob final : public Job {
 public:
  OpenJob(OpenArguments arguments, std::unique_ptr<WorkerThread> thread)
      : bytes_(arguments.plan.Data()),
        size_(arguments.plan.ByteLength()),
        options_(arguments.options),
        constants_(std::move(arguments.constants)),
        plan_(Napi::Persistent(arguments.plan)),
        image_(Napi::Persistent(arguments.image)),
        thread_(std::move(thread)) {}

  WorkerThread* thread() { return thread_.get(); }

  Status Work() override {
    std::unique_ptr<cuda::CudaExecutor> executor;
    const Status status = cuda::CudaExecutor::Open(bytes_, size_, options_, &executor, constants_.get());
    executor_ = std::move(executor);
    return status;
  }

  Napi::Value Result(Napi::Env env) override {
    Napi::Object object = env.GetInstanceData<AddonData>()->cuda_session.New({});
    CudaSession::Unwrap(object)->Take(env, std::move(executor_), std::move(thread_));
    return object;
  }

 private:
  const uint8_t* bytes_;
  size_t size_;
  cuda::ExecutorOptions options_;
  GivenConstants constants_;
  Napi::Reference<Napi::Uint8Array> plan_, image_;  // keep the bytes alive while they are read
  std::unique_ptr<WorkerThread> thread_;
  std::shared_ptr<cuda::CudaExecutor> executor_;
};

bool IsBytes(const Napi::Value& value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
}

// Reads (plan, { image, precision, constants }) of openCudaSession. Returns false with a pending exception if they are
// wrong.
bool ReadArguments(const Napi::CallbackInfo& info, OpenArguments* arguments) {
  Napi::Env env = info.Env();
  if (info.Length() < 2 || !IsBytes(info[0]) || !info[1].IsObject()) {
    RefuseArguments(env, "Expected a Uint8Array and options for openCudaSession");
    return false;
  }
  const Napi::Object given = info[1].As<Napi::Object>();
  const Napi::Value image = given.Get("image"), precision = given.Get("precision");
  const std::string name = precision.IsString() ? precision.As<Napi::String>().Utf8Value() : "";
  // The driver reads the length of an image from its ELF header of 64 bytes.
  if (!IsBytes(image) || image.As<Napi::Uint8Array>().ByteLength() < 64 || (name != "fp16" && name != "fp32")) {
    RefuseArguments(env, "Expected a cubin for image and fp16 or fp32 for precision");
    return false;
  }
  arguments->plan = info[0].As<Napi::Uint8Array>();
  arguments->image = image.As<Napi::Uint8Array>();
  arguments->options = {name == "fp16" ? cuda::Precision::kFloat16 : cuda::Precision::kFloat32,
                        arguments->image.Data()};
  return ReadConstants(env, given.Get("constants"), &arguments->constants);
}

Napi::Value OpenCudaSession(const Napi::CallbackInfo& info) {
  OpenArguments arguments;
  if (!ReadArguments(info, &arguments)) return info.Env().Undefined();
  auto job = std::make_unique<OpenJob>(std::move(arguments), std::make_unique<WorkerThread>(info.Env(), "gapcam cuda"));
  return PostOwned(std::move(job));
}

class CompileJob final : public Job {
 public:
  CompileJob(std::string source, std::vector<std::string> options, std::unique_ptr<WorkerThread> thread)
      : source_(std::move(source)), options_(std::move(options)), thread_(std::move(thread)) {}

  WorkerThread* thread() { return thread_.get(); }
  Status Work() override { return cuda::CompileKernels(source_, options_, &cubin_); }
  Napi::Value Result(Napi::Env env) override { return Napi::Buffer<uint8_t>::Copy(env, cubin_.data(), cubin_.size()); }

 private:
  std::string source_;
  std::vector<std::string> options_;
  std::unique_ptr<WorkerThread> thread_;
  std::vector<uint8_t> cubin_;
};

Napi::Value CompileCuda(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::vector<std::string> options;
  bool is_right = info.Length() > 1 && info[0].IsString() && info[1].IsArray();
  for (uint32_t i = 0; is_right && i < info[1].As<Napi::Array>().Length(); ++i) {
    const Napi::Value option = info[1].As<Napi::Array>().Get(i);
    is_right = option.IsString();
    if (is_right) options.push_back(option.As<Napi::String>().Utf8Value());
  }
  if (!is_right) {
    return RefuseArguments(env, "Expected a string and an array of strings for compileCuda");
  }
  auto job = std::make_unique<CompileJob>(info[0].As<Napi::String>().Utf8Value(), std::move(options),
                                          std::make_unique<WorkerThread>(env, "gapcam nvrtc"));
  return PostOwned(std::move(job));
}

Napi::Value NvrtcVersion(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), cuda::NvrtcVersion()); }

}  // namespace

void InitCuda(Napi::Env env, Napi::Object exports, AddonData* data) {
  data->cuda_session = Napi::Persistent(CudaSession::Define(env));
  data->cuda_frame_pass = Napi::Persistent(CudaFramePass::Define(env));
  exports.Set("openCudaSession", Napi::Function::New(env, OpenCudaSession, "openCudaSession"));
  exports.Set("compileCuda", Napi::Function::New(env, CompileCuda, "compileCuda"));
  exports.Set("nvrtcVersion", Napi::Function::New(env, NvrtcVersion, "nvrtcVersion"));
  exports.Set("describeCuda", Napi::Function::New(env, DescribeCuda, "describeCuda"));
  exports.Set("cudaOff", Napi::Function::New(env, CudaOff, "cudaOff"));
}

}  // namespace gapcam
