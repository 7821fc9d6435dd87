#include "driver.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>

namespace gapcam::cuda {
namespace {

std::mutex load_mutex;
Api loaded;  // guarded by load_mutex until it is loaded, then constant
bool is_loaded = false;

std::mutex poison_mutex;
char poison[256] = "";                       // written once, guarded by poison_mutex
std::atomic<const char*> poisoned{nullptr};  // points to `poison` after it was written

// Sticky errors: by the driver API's documentation, every further call of the process fails in the same way.
constexpr Result kStickyErrors[] = {
    214,  // ECC_UNCORRECTABLE
    220,  // NVLINK_UNCORRECTABLE
    226,  // CONTAINED
    700,  // ILLEGAL_ADDRESS
    702,  // LAUNCH_TIMEOUT
    709,  // CONTEXT_IS_DESTROYED
    710,  // ASSERT
    714,  // HARDWARE_STACK_ERROR
    715,  // ILLEGAL_INSTRUCTION
    716,  // MISALIGNED_ADDRESS
    717,  // INVALID_ADDRESS_SPACE
    718,  // INVALID_PC
    719,  // LAUNCH_FAILED
    999,  // UNKNOWN
};

bool IsSticky(Result result) {
  for (const Result sticky : kStickyErrors)
    if (result == sticky) return true;
  return false;
}

Status OpenLibrary(Api* api) {
  // Never closed: the driver's threads run until the process ends.
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return Status::Error("ENGINE_UNAVAILABLE", "there is no NVIDIA driver here (%.150s)", dlerror());
  const char* missing = nullptr;
#define GAPCAM_CUDA_CALL(name, symbol, parameters)                \
  *reinterpret_cast<void**>(&api->name) = dlsym(library, symbol); \
  if (!api->name && !missing) missing = symbol;
#include "driver.def"
#undef GAPCAM_CUDA_CALL
  if (missing)
    return Status::Error(
        "ENGINE_UNAVAILABLE",
        "the NVIDIA driver lacks %s: it is older than CUDA 11.4. Install CUDA 11.4 or JetPack 5, or newer", missing);
  return Status::Ok();
}

Status Start(const Api& api) {
  int version = 0;
  Result result = api.Init(0);
  if (result != 0) return Failed(api, result, "ENGINE_UNAVAILABLE", "cuInit", "starting the NVIDIA driver");
  result = api.DriverGetVersion(&version);
  if (result != 0)
    return Failed(api, result, "ENGINE_UNAVAILABLE", "cuDriverGetVersion", "asking the NVIDIA driver for its version");
  if (version < kLeastVersion) {
    return Status::Error("ENGINE_UNAVAILABLE",
                         "the NVIDIA driver is too old: it supports CUDA %d.%d, but 11.4 (JetPack 5) is needed",
                         version / 1000, version % 1000 / 10);
  }
  return Status::Ok();
}

}  // namespace

Status LoadDriver(const Api** api) {
  const std::lock_guard<std::mutex> lock(load_mutex);
  if (!is_loaded) {
    const Status status = OpenLibrary(&loaded);
    if (!status.ok()) return status;
    is_loaded = true;
  }
  const Status status = Start(loaded);
  if (status.ok()) *api = &loaded;
  return status;
}

Status FindDevice(const Api& api, DeviceInfo* info) {
  const char* doing = "looking for a device";
  int count = 0, can_map = 0, integrated = 0;
  size_t bytes = 0;
  Result result = api.DeviceGetCount(&count);
  if (result != 0) return Failed(api, result, "ENGINE_UNAVAILABLE", "cuDeviceGetCount", "%s", doing);
  if (count == 0) return Status::Error("ENGINE_UNAVAILABLE", "the NVIDIA driver shows no device");
  const char* call = "cuDeviceGet";
  result = api.DeviceGet(&info->device, 0);
  if (result == 0) result = api.DeviceGetName(info->name, sizeof(info->name), info->device), call = "cuDeviceGetName";
  const struct {
    int attribute;
    int* value;
  } attributes[] = {{kAttributeMajor, &info->major},
                    {kAttributeMinor, &info->minor},
                    {kAttributeMultiprocessors, &info->multiprocessors},
                    {kAttributeIntegrated, &integrated},
                    {kAttributeCanMapHostMemory, &can_map}};
  for (const auto& [attribute, value] : attributes)
    if (result == 0) result = api.DeviceGetAttribute(value, attribute, info->device), call = "cuDeviceGetAttribute";
  if (result == 0) result = api.DeviceTotalMem(&bytes, info->device), call = "cuDeviceTotalMem";
  if (result == 0) result = api.DriverGetVersion(&info->driver_version), call = "cuDriverGetVersion";
  if (result != 0) return Failed(api, result, "ENGINE_UNAVAILABLE", call, "%s", doing);
  info->is_integrated = integrated != 0;
  info->memory_bytes = bytes;
  if (!can_map) return Status::Error("ENGINE_UNAVAILABLE", "%s cannot map host memory", info->name);
  return Status::Ok();
}

Status Failed(const Api& api, Result result, const char* code, const char* call, const char* doing, ...) {
  char what[128];
  va_list args;
  va_start(args, doing);
  std::vsnprintf(what, sizeof(what), doing, args);
  va_end(args);
  const char* name = nullptr;
  if (api.GetErrorName(result, &name) != 0 || !name) name = "an error without a name";
  return Status::Error(code, "%s failed with %s (%d) while %s", call, name, result, what);
}

Status FailedInContext(const Api& api, Result result, const char* call, const char* doing) {
  const Status status = Failed(api, result, "ENGINE_FAILED", call, "%s", doing);
  const Result probe = api.CtxSynchronize();
  const bool is_at_rest =
      probe == 0 || probe == kErrorNotInitialized || probe == kErrorDeinitialized || probe == kErrorInvalidContext;
  if (!IsSticky(result) && is_at_rest) return status;
  const std::lock_guard<std::mutex> lock(poison_mutex);
  if (!poisoned.load()) {
    std::snprintf(poison, sizeof(poison), "%s", status.message());
    poisoned.store(poison);
  }
  return status;
}

const char* PoisonedBy() { return poisoned.load(); }

}  // namespace gapcam::cuda
