// CudaExecutor: a plan made ready for the machine's NVIDIA device and run for every frame. The same shape as
// plan/executor.h, but a run can fail, and then says how.
//
//   host                      device
//   inputs, mapped  ────────▶ first kernels read them over the bus
//                             weights, activations
//   outputs, mapped ◀──────── last kernels write them there
//
// The whole network is one CUDA graph, captured once: a frame costs two calls that do something.
#pragma once
#include <memory>
#include <vector>

#include "../plan/executor.h"
#include "driver.h"
#include "program.h"

namespace gapcam::cuda {

struct ExecutorOptions {
  Precision precision = Precision::kFloat16;
  const void* image = nullptr;  // a cubin of kernels.def for the device's generation; may go once it is open
};

class CudaExecutor {
 public:
  // Reads and validates the plan, lowers it for the first device, uploads, runs once and captures. `bytes`, the image and
  // what `constants` points at may go afterwards. ENGINE_UNAVAILABLE where CUDA cannot be had here, ENGINE_FAILED where
  // it was and a call failed.
  static Status Open(const uint8_t* bytes, size_t size, const ExecutorOptions& options,
                     std::unique_ptr<CudaExecutor>* executor, const Constants* constants = nullptr);
  ~CudaExecutor();
  CudaExecutor(const CudaExecutor&) = delete;
  CudaExecutor& operator=(const CudaExecutor&) = delete;

  // Computes the outputs from the inputs, which it never writes, and waits for them. One call at a time, on any thread.
  // After an error the outputs hold anything; PoisonedBy() then tells whether CUDA is over for this process.
  Status Run();

  // Gives everything back but the memory of inputs and outputs, which stays until the executor goes. No Run() afterwards.
  void Release();

  const Plan& plan() const { return plan_; }
  const DeviceInfo& device() const { return device_; }
  const Program& program() const { return program_; }
  // Where the values of an input or output lie, by their place in the plan's list.
  void* input(uint32_t port) const { return host_[0].bytes + program_.inputs[port].offset; }
  void* output(uint32_t port) const { return host_[1].bytes + program_.outputs[port].offset; }
  uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  friend class FramePass;  // works in the same context, on the same stream, with kernels of the same module

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
  std::vector<Function> functions_;           // by KernelId; null where nothing used it yet
  std::vector<std::vector<uint8_t>> params_;  // of each launch, bound; dropped once captured
  Stream stream_ = nullptr;
  GraphExec graph_ = nullptr;
};

}  // namespace gapcam::cuda
