// The driver's functions for devices, contexts, memory and modules, each under its symbol in driver.def. Streams and
// graphs are in streams.cc.
#include "calls.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "../emulator/emulator.h"

namespace gapcam::cuda::fake::api {
namespace {

Context TheContext() {
  static int anything;
  return reinterpret_cast<Context>(&anything);
}

size_t RoundedToPages(size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

Result Allocate(size_t bytes, bool is_mapped, uint8_t** begin) {
  State& state = TheState();
  if (bytes == 0) return kInvalidValue;
  if (bytes > state.memory_bytes || state.allocated_bytes > state.memory_bytes - bytes) return kOutOfMemory;
  void* memory = mmap(nullptr, RoundedToPages(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return kOutOfMemory;
  *begin = static_cast<uint8_t*>(memory);
  std::memset(memory, 0xA5, bytes);  // new memory holds undefined values
  const Allocation allocation = {*begin, bytes, is_mapped};
  state.allocations[reinterpret_cast<uint64_t>(memory)] = allocation;
  state.allocated_bytes += bytes;
  emulator::AddRegion(memory, bytes);
  Protect(allocation, false);
  return 0;
}

Result Free(uint64_t address, bool is_mapped, const char* call) {
  State& state = TheState();
  const auto found = state.allocations.find(address);
  if (found == state.allocations.end() || found->second.is_mapped != is_mapped) {
    Violation("%s frees memory that was not allocated, or that is freed already", call);
    return kInvalidValue;
  }
  if (IsBusy()) Violation("%s frees memory while work waits in a stream", call);
  FinishUploads();
  state.allocated_bytes -= found->second.bytes;
  emulator::RemoveRegion(found->second.begin);
  munmap(found->second.begin, RoundedToPages(found->second.bytes));
  state.allocations.erase(found);
  return 0;
}

const char* NameOf(int sm) {
  switch (sm) {
    case 53: return "Jetson Nano, emulated";
    case 72: return "Xavier, emulated";
    case 87: return "Orin, emulated";
    case 110: return "Thor, emulated";
    default: return "NVIDIA device, emulated";
  }
}

}  // namespace

Result Init(unsigned) {
  CALL("cuInit", false);
  if (TheState().devices == 0) return kNoDevice;
  TheState().is_initialized = true;
  return 0;
}

Result DriverGetVersion(int* version) {
  CALL("cuDriverGetVersion", false);
  *version = TheState().version;
  return 0;
}

Result DeviceGetCount(int* count) {
  CALL("cuDeviceGetCount", false);
  *count = TheState().devices;
  return 0;
}

Result DeviceGet(Device* device, int ordinal) {
  CALL("cuDeviceGet", false);
  *device = 0;
  return ordinal < TheState().devices ? 0 : kInvalidValue;
}

Result DeviceGetName(char* name, int length, Device) {
  CALL("cuDeviceGetName", false);
  std::snprintf(name, static_cast<size_t>(length), "%s", NameOf(TheState().sm));
  return 0;
}

Result DeviceGetAttribute(int* value, int attribute, Device) {
  CALL("cuDeviceGetAttribute", false);
  const int sm = TheState().sm;
  switch (attribute) {
    case kAttributeMajor: *value = sm / 10; return 0;
    case kAttributeMinor: *value = sm % 10; return 0;
    case kAttributeMultiprocessors: *value = sm == 72 ? 6 : sm == 110 ? 20 : 8; return 0;
    case kAttributeIntegrated: *value = sm == 53 || sm == 72 || sm == 87 || sm == 110; return 0;
    case kAttributeCanMapHostMemory: *value = 1; return 0;
    default: return kInvalidValue;
  }
}

Result DeviceTotalMem(size_t* bytes, Device) {
  CALL("cuDeviceTotalMem_v2", false);
  *bytes = TheState().memory_bytes;
  return 0;
}

Result PrimaryCtxRetain(Context* context, Device) {
  CALL("cuDevicePrimaryCtxRetain", false);
  if (TheState().lost) return TheState().lost;
  ++TheState().retained;
  *context = TheContext();
  return 0;
}

Result PrimaryCtxRelease(Device) {
  CALL("cuDevicePrimaryCtxRelease_v2", false);
  State& state = TheState();
  if (state.retained == 0) {
    Violation("the primary context is released more often than it was retained");
    return kInvalidContext;
  }
  if (--state.retained > 0) return 0;
  // The last release destroys everything in the context. After a lost context, freeing is impossible, so leaks are
  // expected.
  if (!state.lost && state.injected == 0 && !state.allocations.empty())
    Violation("the context is destroyed with %zu allocations in it", state.allocations.size());
  for (const auto& entry : state.allocations) emulator::RemoveRegion(entry.second.begin);
  state.uploads.clear();
  state.allocations.clear();
  state.allocated_bytes = 0;
  state.functions.clear();
  state.modules.clear();
  state.streams.clear();
  state.graphs.clear();
  state.execs.clear();
  return 0;
}

Result CtxPushCurrent(Context context) {
  CALL("cuCtxPushCurrent_v2", false);
  if (TheState().lost) return TheState().lost;
  if (context != TheContext() || TheState().retained == 0) {
    Violation("a context is made current that does not exist");
    return kInvalidContext;
  }
  Current().push_back(context);
  return 0;
}

Result CtxPopCurrent(Context* context) {
  CALL("cuCtxPopCurrent_v2", true);
  *context = Current().back();
  Current().pop_back();
  return 0;
}

Result CtxSynchronize() {
  CALL("cuCtxSynchronize", true);
  FORBIDDEN_IN_CAPTURE();
  FinishUploads();
  for (StreamObject* stream : TheState().streams) {
    const Result result = Drain(stream);
    if (result != 0) return result;
  }
  return 0;
}

Result MemAlloc(DevicePointer* pointer, size_t bytes) {
  CALL("cuMemAlloc_v2", true);
  FORBIDDEN_IN_CAPTURE();
  uint8_t* begin = nullptr;
  const Result result = Allocate(bytes, false, &begin);
  if (result == 0) *pointer = reinterpret_cast<uint64_t>(begin);
  return result;
}

Result MemFree(DevicePointer pointer) {
  CALL("cuMemFree_v2", true);
  FORBIDDEN_IN_CAPTURE();
  return Free(pointer, false, "cuMemFree");
}

Result MemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  CALL("cuMemHostAlloc", true);
  FORBIDDEN_IN_CAPTURE();
  if (!(flags & kHostAllocDeviceMap))
    Violation("cuMemHostAlloc without DEVICEMAP: the device could not access the memory");
  uint8_t* begin = nullptr;
  const Result result = Allocate(bytes, true, &begin);
  if (result == 0) *pointer = begin;
  return result;
}

Result MemHostGetDevicePointer(DevicePointer* pointer, void* host, unsigned) {
  CALL("cuMemHostGetDevicePointer_v2", true);
  const auto found = TheState().allocations.find(reinterpret_cast<uint64_t>(host));
  if (found == TheState().allocations.end() || !found->second.is_mapped) {
    Violation("cuMemHostGetDevicePointer is given memory that is not mapped");
    return kInvalidValue;
  }
  *pointer = reinterpret_cast<uint64_t>(host);
  return 0;
}

Result MemFreeHost(void* pointer) {
  CALL("cuMemFreeHost", true);
  FORBIDDEN_IN_CAPTURE();
  return Free(reinterpret_cast<uint64_t>(pointer), true, "cuMemFreeHost");
}

Result MemcpyHtoD(DevicePointer to, const void* from, size_t bytes) {
  CALL("cuMemcpyHtoD_v2", true);
  FORBIDDEN_IN_CAPTURE();
  const auto found = TheState().allocations.find(to);
  if (found == TheState().allocations.end() || bytes > found->second.bytes) {
    Violation("cuMemcpyHtoD writes %zu bytes outside of any allocation", bytes);
    return kInvalidValue;
  }
  const auto* values = static_cast<const uint8_t*>(from);
  TheState().uploads.push_back({to, {values, values + bytes}});
  return 0;
}

Result ModuleLoadData(Module* module, const void* image) {
  CALL("cuModuleLoadData", true);
  FORBIDDEN_IN_CAPTURE();
  const Result result = CheckImage(static_cast<const uint8_t*>(image));
  if (result != 0) return result;
  auto* made = new ModuleObject();
  for (uint32_t id = 0; id < kKernelCount; ++id)
    if (HasKernel(static_cast<const uint8_t*>(image), kKernels[id])) made->kernels.insert(id);
  TheState().modules.insert(made);
  *module = reinterpret_cast<Module>(made);
  return 0;
}

Result ModuleUnload(Module module) {
  CALL("cuModuleUnload", true);
  FORBIDDEN_IN_CAPTURE();
  auto* object = reinterpret_cast<ModuleObject*>(module);
  if (!IsLive(TheState().modules, object, "cuModuleUnload")) return kInvalidHandle;
  if (IsBusy()) Violation("cuModuleUnload while work waits in a stream");
  auto& functions = TheState().functions;
  for (auto at = functions.begin(); at != functions.end();)
    at = at->second->module == object ? functions.erase(at) : std::next(at);
  TheState().modules.erase(object);
  delete object;
  return 0;
}

Result ModuleGetFunction(Function* function, Module module, const char* name) {
  CALL("cuModuleGetFunction", true);
  auto* object = reinterpret_cast<ModuleObject*>(module);
  if (!IsLive(TheState().modules, object, "cuModuleGetFunction")) return kInvalidHandle;
  const int sm = TheState().sm;
  const KernelRow* row = std::find_if(kKernels, kKernels + kKernelCount,
                                      [&](const KernelRow& kernel) { return std::strcmp(kernel.name, name) == 0; });
  if (row == kKernels + kKernelCount || !row->IsIn(static_cast<uint32_t>(sm)) ||
      object->kernels.count(static_cast<uint32_t>(row - kKernels)) == 0)
    return kNotFound;
  auto made = std::make_unique<FunctionObject>();
  made->module = object;
  made->kernel = static_cast<KernelId>(row - kKernels);
  *function = reinterpret_cast<Function>(made.get());
  TheState().functions[made.get()] = std::move(made);
  return 0;
}

Result GetErrorName(Result result, const char** name) {
  CALL("cuGetErrorName", false);
  static constexpr struct {
    Result result;
    const char* name;
  } kNames[] = {{1, "CUDA_ERROR_INVALID_VALUE"},
                {2, "CUDA_ERROR_OUT_OF_MEMORY"},
                {3, "CUDA_ERROR_NOT_INITIALIZED"},
                {100, "CUDA_ERROR_NO_DEVICE"},
                {200, "CUDA_ERROR_INVALID_IMAGE"},
                {201, "CUDA_ERROR_INVALID_CONTEXT"},
                {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
                {214, "CUDA_ERROR_ECC_UNCORRECTABLE"},
                {400, "CUDA_ERROR_INVALID_HANDLE"},
                {500, "CUDA_ERROR_NOT_FOUND"},
                {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
                {702, "CUDA_ERROR_LAUNCH_TIMEOUT"},
                {716, "CUDA_ERROR_MISALIGNED_ADDRESS"},
                {719, "CUDA_ERROR_LAUNCH_FAILED"},
                {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
                {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"},
                {999, "CUDA_ERROR_UNKNOWN"}};
  for (const auto& row : kNames)
    if (row.result == result) return *name = row.name, 0;
  return kInvalidValue;
}

}  // namespace gapcam::cuda::fake::api

// For tests in the same process: sets what FAKE_CUDA sets, and returns the report so far.
extern "C" __attribute__((visibility("default"))) void fake_cuda_configure(const char* settings) {
  gapcam::cuda::fake::State& state = gapcam::cuda::fake::TheState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  gapcam::cuda::fake::Configure(state, settings);
}

extern "C" __attribute__((visibility("default"))) void fake_cuda_report(char* text, size_t size) {
  gapcam::cuda::fake::State& state = gapcam::cuda::fake::TheState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  std::snprintf(text, size, "%s", gapcam::cuda::fake::Report(state).c_str());
}
