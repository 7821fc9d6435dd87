// CudaExecutor: runs a plan on the machine's NVIDIA device, once for every frame. Its interface is that of
// plan/executor.h, but a run can fail and returns the reason.
//
//   host                      device
//   inputs, mapped  ────────▶ the first kernels read them over the bus
//                             weights, activations
//   outputs, mapped ◀──────── the last kernels write them over the bus
//
// The whole network is one CUDA graph, captured once. A frame costs two driver calls: launch and wait.
#pragma once
#include <memory>
#include <vector>

#include "../plan/executor.h"
#include "driver.h"
#include "program.h"

namespace gapcam::cuda {

struct ExecutorOptions {
  Precision precision = Precision::kFloat16;
  const void* image = nullptr;  // a cubin of kernels.def for the device's generation; needed only during Open
};

class CudaExecutor {
 public:
  // Reads and validates the plan, lowers it for the first device, uploads the weights, runs once and captures the
  // graph. The plan's bytes, the image and the constants are needed only during the call. ENGINE_UNAVAILABLE if CUDA is
  // not available here; ENGINE_FAILED if a call of it failed.
  static Status Open(const uint8_t* bytes, size_t size, const ExecutorOptions& options,
                     std::unique_ptr<CudaExecutor>* executor, const Constants* constants = nullptr);
  ~CudaExecutor();
  CudaExecutor(const CudaExecutor&) = delete;
  CudaExecutor& operator=(const CudaExecutor&) = delete;

  // Computes the outputs from the inputs and waits for them. The inputs stay unchanged. One call at a time, on any
  // thread. After an error the outputs are undefined, and PoisonedBy() tells whether CUDA is off for this process.
  Status Run();

  // Releases everything except the memory of inputs and outputs, which the destructor releases. No Run() afterwards.
  void Release();

  const Plan& plan() const { return plan_; }
  const DeviceInfo& device() const { return device_; }
  const Program& program() const { return program_; }
  // The values of an input or output, by its index in the plan's list.
  void* input(uint32_t port) const { return host_[0].bytes + program_.inputs[port].offset; }
  void* output(uint32_t port) const { return host_[1].bytes + program_.outputs[port].offset; }
  uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  friend class FramePass;  // uses the same context, stream and module

  // Host memory that the device can access.
  struct Mapped {
    uint8_t* bytes = nullptr;
    DevicePointer device = 0;
  };

  CudaExecutor(const Api& api, const DeviceInfo& device) : api_(api), device_(device) {}
  Status Prepare(const ExecutorOptions& options);
  Status TakeMemory();
  Status Map(uint64_t bytes, const char* doing, Mapped* mapped);
  Status Upload(const void* bytes, uint64_t size, const char* doing, DevicePointer* device);
  Status LoadKernels(const void* image);
  Status FindKernel(KernelId id);
  void BindLaunches();
  Result LaunchAll(size_t* failed);
  Status CheckLaunch(Result result, size_t index) const;
  Status Capture();
  Status Check(Result result, const char* call, const char* doing) const;

  const Api& api_;
  const DeviceInfo device_;
  Plan plan_;
  Program program_;
  uint64_t weight_bytes_ = 0;
  Context context_ = nullptr;
  Mapped host_[2];  // inputs, outputs
  DevicePointer activations_ = 0, weights_ = 0;
  Module module_ = nullptr;
  std::vector<Function> functions_;           // by KernelId; null until it is first used
  std::vector<std::vector<uint8_t>> params_;  // bound parameters of each launch; empty after the capture
  Stream stream_ = nullptr;
  GraphExec graph_ = nullptr;
};

}  // namespace gapcam::cuda
