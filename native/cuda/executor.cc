#include "executor.h"

#include <cstring>
#include <utility>

namespace gapcam::cuda {

Status CudaExecutor::Open(const uint8_t* bytes, size_t size, const ExecutorOptions& options,
                          std::unique_ptr<CudaExecutor>* executor, const Constants* constants) {
  if (const char* sentence = PoisonedBy())
    return Status::Error("ENGINE_UNAVAILABLE", "CUDA is off for this process: %.200s", sentence);
  const Api* api = nullptr;
  DeviceInfo device;
  Status status = LoadDriver(&api);
  if (status.ok()) status = FindDevice(*api, &device);
  if (!status.ok()) return status;
  std::unique_ptr<CudaExecutor> made(new CudaExecutor(*api, device));
  status = ReadPlan(bytes, size, &made->plan_, constants ? &constants->chunks : nullptr);
  const Generation generation = {static_cast<uint32_t>(device.major * 10 + device.minor), options.precision,
                                 static_cast<uint32_t>(device.multiprocessors)};
  if (status.ok()) status = BuildProgram(made->plan_, generation, &made->program_);
  if (constants && constants->release)
    for (const ConstantChunk& chunk : constants->chunks) constants->release(chunk.bytes, chunk.size);
  for (PlanTensor& tensor : made->plan_.tensors) tensor.constant = nullptr;
  if (status.ok()) status = made->Prepare(options);
  if (status.ok()) *executor = std::move(made);
  return status;
}

CudaExecutor::~CudaExecutor() {
  if (!context_) return;
  Release();
  {
    const ContextScope scope(api_, context_);
    for (const Mapped& mapped : host_)
      if (mapped.bytes) api_.MemFreeHost(mapped.bytes);
  }
  api_.PrimaryCtxRelease(device_.device);
}

// Errors are ignored: after a lost context every one of these calls fails, and nothing is left to release.
void CudaExecutor::Release() {
  const ContextScope scope(api_, context_);
  if (graph_) api_.GraphExecDestroy(std::exchange(graph_, nullptr));
  if (stream_) api_.StreamDestroy(std::exchange(stream_, nullptr));
  if (module_) api_.ModuleUnload(std::exchange(module_, nullptr));
  if (weights_) api_.MemFree(std::exchange(weights_, 0));
  if (activations_) api_.MemFree(std::exchange(activations_, 0));
}

Status CudaExecutor::Prepare(const ExecutorOptions& options) {
  Status status =
      Check(api_.PrimaryCtxRetain(&context_, device_.device), "cuDevicePrimaryCtxRetain", "making a context");
  if (!status.ok()) {
    context_ = nullptr;
    return status;
  }
  const ContextScope scope(api_, context_);
  status = Check(scope.result(), "cuCtxPushCurrent", "making the context current");
  if (status.ok()) status = LoadKernels(options.image);
  if (status.ok()) status = TakeMemory();
  if (status.ok()) status = Check(api_.StreamCreate(&stream_, kStreamNonBlocking), "cuStreamCreate", "making a stream");
  if (!status.ok()) return status;
  BindLaunches();
  // Run once without a graph. A driver with lazy loading loads a kernel at its first launch, which is forbidden during
  // a capture. And a kernel that fails on this device is detected before the engine is chosen.
  size_t index = 0;
  const Result launched = LaunchAll(&index);
  status = CheckLaunch(launched, index);
  if (status.ok())
    status = Check(api_.StreamSynchronize(stream_), "cuStreamSynchronize", "computing for the first time");
  if (status.ok()) status = Capture();
  params_ = {};
  return status;
}

Status CudaExecutor::LoadKernels(const void* image) {
  Status status = Check(api_.ModuleLoadData(&module_, image), "cuModuleLoadData", "loading the kernels");
  functions_.assign(kKernelCount, nullptr);
  for (const Launch& launch : program_.launches) {
    if (status.ok()) status = FindKernel(launch.kernel);
  }
  return status;
}

Status CudaExecutor::FindKernel(KernelId id) {
  Function* function = &functions_[static_cast<uint32_t>(id)];
  if (*function) return Status::Ok();
  const char* name = kKernels[static_cast<uint32_t>(id)].name;
  char doing[96];
  std::snprintf(doing, sizeof(doing), "looking up the kernel %s", name);
  return Check(api_.ModuleGetFunction(function, module_, name), "cuModuleGetFunction", doing);
}

Status CudaExecutor::TakeMemory() {
  char doing[96];
  weight_bytes_ = program_.weights.size();
  std::snprintf(doing, sizeof(doing), "taking %.1f MB for the weights", static_cast<double>(weight_bytes_) / 1e6);
  Status status = Upload(program_.weights.data(), weight_bytes_, doing, &weights_);
  if (!status.ok()) return status;
  program_.weights = {};
  std::snprintf(doing, sizeof(doing), "taking %.1f MB for the activations",
                static_cast<double>(program_.activation_bytes) / 1e6);
  status = Check(api_.MemAlloc(&activations_, program_.activation_bytes + 256), "cuMemAlloc", doing);
  if (status.ok()) status = Map(program_.input_bytes, "mapping memory for the inputs", &host_[0]);
  if (status.ok()) status = Map(program_.output_bytes, "mapping memory for the outputs", &host_[1]);
  return status;
}

// Allocates device memory with these bytes. The caller frees it, even if the copy failed.
Status CudaExecutor::Upload(const void* bytes, uint64_t size, const char* doing, DevicePointer* device) {
  // The driver refuses to allocate 0 bytes.
  Status status = Check(api_.MemAlloc(device, size + 256), "cuMemAlloc", doing);
  if (status.ok()) status = Check(api_.MemcpyHtoD(*device, bytes, size), "cuMemcpyHtoD", doing);
  // For pageable memory the call may return before the copy ends, and our stream does not wait for the default stream.
  if (status.ok()) status = Check(api_.CtxSynchronize(), "cuCtxSynchronize", doing);
  return status;
}

// Allocates host memory that the device can access. The caller frees it, even if its device address is not available.
Status CudaExecutor::Map(uint64_t bytes, const char* doing, Mapped* mapped) {
  const size_t size = bytes + 256;
  void* memory = nullptr;
  Status status = Check(api_.MemHostAlloc(&memory, size, kHostAllocDeviceMap), "cuMemHostAlloc", doing);
  if (!status.ok()) return status;
  mapped->bytes = static_cast<uint8_t*>(memory);
  std::memset(memory, 0, size);
  return Check(api_.MemHostGetDevicePointer(&mapped->device, memory, 0), "cuMemHostGetDevicePointer", doing);
}

void CudaExecutor::BindLaunches() {
  const uint64_t bases[kMemoryCount] = {activations_, weights_, host_[0].device, host_[1].device};
  for (const Launch& launch : program_.launches) {
    params_.push_back(launch.params);
    Bind(launch, bases, params_.back().data());
  }
}

// Launches all kernels in order, until one fails. `failed` is then its index.
Result CudaExecutor::LaunchAll(size_t* failed) {
  for (size_t i = 0; i < program_.launches.size(); ++i) {
    const Launch& launch = program_.launches[i];
    void* arguments[] = {params_[i].data()};
    *failed = i;
    const Result result = api_.LaunchKernel(functions_[static_cast<uint32_t>(launch.kernel)], launch.grid[0],
                                            launch.grid[1], launch.grid[2], launch.block[0], launch.block[1],
                                            launch.block[2], 0, stream_, arguments, nullptr);
    if (result != 0) return result;
  }
  return 0;
}

Status CudaExecutor::CheckLaunch(Result result, size_t index) const {
  if (result == 0) return Status::Ok();
  const Launch& launch = program_.launches[index];
  char doing[160];
  std::snprintf(doing, sizeof(doing), "launching %s for %.80s", kKernels[static_cast<uint32_t>(launch.kernel)].name,
                launch.step == kAbsent ? "an input or output" : plan_.steps[launch.step].name.c_str());
  return Check(result, "cuLaunchKernel", doing);
}

Status CudaExecutor::Capture() {
  const char* doing = "recording the network";
  Status status = Check(api_.StreamBeginCapture(stream_, kCaptureThreadLocal), "cuStreamBeginCapture", doing);
  if (!status.ok()) return status;
  size_t index = 0;
  const Result launched = LaunchAll(&index);
  // The capture must end even after a failed launch: until then the driver refuses other calls.
  Graph graph = nullptr;
  const Result ended = api_.StreamEndCapture(stream_, &graph);
  status = CheckLaunch(launched, index);
  if (status.ok()) status = Check(ended, "cuStreamEndCapture", doing);
  if (status.ok()) status = Check(api_.GraphInstantiate(&graph_, graph, 0), "cuGraphInstantiate", doing);
  if (graph) api_.GraphDestroy(graph);
  return status;
}

Status CudaExecutor::Run() {
  const ContextScope scope(api_, context_);
  Status status = Check(scope.result(), "cuCtxPushCurrent", "making the context current");
  if (status.ok()) status = Check(api_.GraphLaunch(graph_, stream_), "cuGraphLaunch", "starting the network");
  if (status.ok()) status = Check(api_.StreamSynchronize(stream_), "cuStreamSynchronize", "computing");
  return status;
}

Status CudaExecutor::Check(Result result, const char* call, const char* doing) const {
  return result == 0 ? Status::Ok() : FailedInContext(api_, result, call, doing);
}

}  // namespace gapcam::cuda
