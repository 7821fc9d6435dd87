// NVIDIA's driver, opened at run time. Building and linking need no CUDA; on a machine without the driver, opening
// fails with a sentence. A process has one driver, and a device one primary context. Nothing here throws.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../status.h"

namespace gapcam::cuda {

using Result = int;  // CUresult; 0 is success
using Device = int;
using DevicePointer = uint64_t;
using Context = struct ContextHandle*;
using Module = struct ModuleHandle*;
using Function = struct FunctionHandle*;
using Stream = struct StreamHandle*;
using Graph = struct GraphHandle*;
using GraphExec = struct GraphExecHandle*;

// The driver's functions, by their names in driver.def.
struct Api {
#define GAPCAM_CUDA_CALL(name, symbol, parameters) Result(*name) parameters = nullptr;
#include "driver.def"
#undef GAPCAM_CUDA_CALL
};

// Values of the driver API's enumerations that the engine uses.
constexpr int kAttributeMultiprocessors = 16, kAttributeIntegrated = 18, kAttributeCanMapHostMemory = 19;
constexpr int kAttributeMajor = 75, kAttributeMinor = 76;
constexpr unsigned kHostAllocDeviceMap = 2;
constexpr unsigned kStreamNonBlocking = 1;
constexpr int kCaptureThreadLocal = 1;
constexpr Result kErrorNotInitialized = 3, kErrorDeinitialized = 4, kErrorInvalidContext = 201;

// The oldest driver with every function of driver.def: CUDA 11.4, JetPack 5.
constexpr int kLeastVersion = 11040;

// What the driver reports about a device.
struct DeviceInfo {
  Device device = 0;
  char name[128] = "";
  int major = 0, minor = 0;  // the compute capability
  int multiprocessors = 0;
  bool is_integrated = false;  // the GPU shares its memory with the processor, as on a Jetson
  uint64_t memory_bytes = 0;
  int driver_version = 0;  // 11040 for CUDA 11.4
};

// Opens and starts the driver; later calls return the same one. ENGINE_UNAVAILABLE says what is missing; a later call
// tries again.
Status LoadDriver(const Api** api);

// The first device that the driver shows (CUDA_VISIBLE_DEVICES selects). It must be able to map host memory.
Status FindDevice(const Api& api, DeviceInfo* info);

// An error for a failed call: the call, the driver's name of the error, and the activity that it belonged to.
__attribute__((format(printf, 5, 6))) Status Failed(const Api& api, Result result, const char* code, const char* call,
                                                    const char* doing, ...);

// The same for a call in a context. First waits until the device is idle, so that it no longer writes to mapped memory.
// After a sticky error, every further call of the process fails, and NVIDIA's remedy is to restart the process: such an
// error turns CUDA off for the process. So does a device that does not become idle.
Status FailedInContext(const Api& api, Result result, const char* call, const char* doing);

// Why CUDA is off for this process: the sentence of the first sticky error; null while it is on. Any thread may call
// it.
const char* PoisonedBy();

// Makes a context current on this thread until the end of the scope.
class ContextScope {
 public:
  ContextScope(const Api& api, Context context) : api_(api), result_(api.CtxPushCurrent(context)) {}
  ~ContextScope() {
    Context popped = nullptr;
    if (result_ == 0) api_.CtxPopCurrent(&popped);
  }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

  Result result() const { return result_; }

 private:
  const Api& api_;
  const Result result_;
};

}  // namespace gapcam::cuda
