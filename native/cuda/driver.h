// NVIDIA's driver, opened at run time: neither building nor linking knows of CUDA, and a machine without the driver gets
// a sentence. One driver a process, one primary context a device. Below the binding nothing throws.
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

// The driver's calls, each under its name in driver.def.
struct Api {
#define GAPCAM_CUDA_CALL(name, symbol, parameters) Result(*name) parameters = nullptr;
#include "driver.def"
#undef GAPCAM_CUDA_CALL
};

// Values of the driver API's enumerations that the engine passes or meets.
constexpr int kAttributeMultiprocessors = 16, kAttributeIntegrated = 18, kAttributeCanMapHostMemory = 19;
constexpr int kAttributeMajor = 75, kAttributeMinor = 76;
constexpr unsigned kHostAllocDeviceMap = 2;
constexpr unsigned kStreamNonBlocking = 1;
constexpr int kCaptureThreadLocal = 1;
constexpr Result kErrorNotInitialized = 3, kErrorDeinitialized = 4, kErrorInvalidContext = 201;

// The oldest driver that has every call of driver.def: CUDA 11.4, JetPack 5.
constexpr int kLeastVersion = 11040;

struct DeviceInfo {
  Device device = 0;
  char name[128] = "";
  int major = 0, minor = 0;  // the compute capability
  int multiprocessors = 0;
  bool is_integrated = false;  // shares its memory with the processor, as a Jetson's does
  uint64_t memory_bytes = 0;
  int driver_version = 0;  // 11040 for CUDA 11.4
};

// Opens the driver, once a process. The error says what is missing; a later call tries again.
Status LoadDriver(const Api** api);

// The first device that the driver shows (CUDA_VISIBLE_DEVICES chooses), which must be able to map host memory.
Status FindDevice(const Api& api, DeviceInfo* info);

// One sentence for a call that failed: the call, the driver's own name of the error, and what it was for.
__attribute__((format(printf, 5, 6))) Status Failed(const Api& api, Result result, const char* code, const char* call,
                                                    const char* doing, ...);

// The same for a call in a context. An error that leaves nothing which this process could still use (NVIDIA's answer to
// those is to start the process anew) turns CUDA off for it. Waits until the device is at rest, so that nothing writes
// to mapped memory behind the caller's back; a device that cannot be brought to rest counts as lost too, and an older
// error that the driver reports only now is found.
Status FailedInContext(const Api& api, Result result, const char* call, const char* doing);

// Why CUDA is off for this process: the sentence of the first error of that kind, or null. Any thread.
const char* PoisonedBy();

// Makes a context current on this thread until the end of the block.
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
