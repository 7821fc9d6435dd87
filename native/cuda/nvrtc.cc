#include "nvrtc.h"

#include <dlfcn.h>

#include <mutex>

namespace gapcam::cuda {
namespace {

using Program = struct NvrtcProgramHandle*;

struct Nvrtc {
  int (*Version)(int*, int*) = nullptr;
  int (*CreateProgram)(Program*, const char*, const char*, int, const char* const*, const char* const*) = nullptr;
  int (*CompileProgram)(Program, int, const char* const*) = nullptr;
  int (*DestroyProgram)(Program*) = nullptr;
  int (*GetCubinSize)(Program, size_t*) = nullptr;
  int (*GetCubin)(Program, char*) = nullptr;
  int (*GetLogSize)(Program, size_t*) = nullptr;
  int (*GetLog)(Program, char*) = nullptr;
  const char* (*GetErrorString)(int) = nullptr;
  bool is_loaded = false;
};

// Library names of JetPack 7, 6 and 5, the newest first. All of CUDA 11 uses the name 11.2.
constexpr const char* kLibraries[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"};

const Nvrtc& Load() {
  static std::mutex mutex;
  static Nvrtc nvrtc;
  const std::lock_guard<std::mutex> lock(mutex);
  for (size_t i = 0; !nvrtc.is_loaded && i < sizeof(kLibraries) / sizeof(kLibraries[0]); ++i) {
    void* library = dlopen(kLibraries[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) continue;
    const auto find = [library](auto* function, const char* symbol) {
      *reinterpret_cast<void**>(function) = dlsym(library, symbol);
      return *function != nullptr;
    };
    // nvrtcGetCUBIN exists since NVRTC 11.1.
    nvrtc.is_loaded = find(&nvrtc.Version, "nvrtcVersion") && find(&nvrtc.CreateProgram, "nvrtcCreateProgram") &&
                      find(&nvrtc.CompileProgram, "nvrtcCompileProgram") &&
                      find(&nvrtc.DestroyProgram, "nvrtcDestroyProgram") &&
                      find(&nvrtc.GetCubinSize, "nvrtcGetCUBINSize") && find(&nvrtc.GetCubin, "nvrtcGetCUBIN") &&
                      find(&nvrtc.GetLogSize, "nvrtcGetProgramLogSize") && find(&nvrtc.GetLog, "nvrtcGetProgramLog") &&
                      find(&nvrtc.GetErrorString, "nvrtcGetErrorString");
  }
  return nvrtc;
}

// The first error in the log, with a colon before it.
std::string Complaint(const Nvrtc& nvrtc, Program program) {
  size_t size = 0;
  if (nvrtc.GetLogSize(program, &size) != 0 || size < 2) return "";
  std::string log(size, '\0');
  if (nvrtc.GetLog(program, &log[0]) != 0) return "";
  const size_t error = log.find("error");
  const size_t line = error == std::string::npos ? 0 : log.rfind('\n', error) + 1;
  return ": " + log.substr(line, log.find('\n', line) - line);
}

}  // namespace

int NvrtcVersion() {
  const Nvrtc& nvrtc = Load();
  int major = 0, minor = 0;
  return nvrtc.is_loaded && nvrtc.Version(&major, &minor) == 0 ? major * 100 + minor : 0;
}

Status CompileKernels(const std::string& source, const std::vector<std::string>& options, std::vector<uint8_t>* cubin) {
  const Nvrtc& nvrtc = Load();
  if (!nvrtc.is_loaded)
    return Status::Error("ENGINE_UNAVAILABLE", "there is no NVRTC here to compile them (libnvrtc.so is missing)");
  Program program = nullptr;
  int result = nvrtc.CreateProgram(&program, source.c_str(), "kernels.cu", 0, nullptr, nullptr);
  if (result != 0) return Status::Error("ENGINE_UNAVAILABLE", "NVRTC failed: %s", nvrtc.GetErrorString(result));
  std::vector<const char*> arguments;
  for (const std::string& option : options) arguments.push_back(option.c_str());
  result = nvrtc.CompileProgram(program, static_cast<int>(arguments.size()), arguments.data());
  const std::string complaint = result == 0 ? "" : Complaint(nvrtc, program);
  size_t size = 0;
  if (result == 0) result = nvrtc.GetCubinSize(program, &size);
  if (result == 0) {
    cubin->resize(size);
    result = nvrtc.GetCubin(program, reinterpret_cast<char*>(cubin->data()));
  }
  nvrtc.DestroyProgram(&program);
  if (result == 0) return Status::Ok();
  return Status::Error("ENGINE_UNAVAILABLE", "NVRTC failed: %s%.160s", nvrtc.GetErrorString(result), complaint.c_str());
}

}  // namespace gapcam::cuda
