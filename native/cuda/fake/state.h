// The test driver, a libcuda.so.1: the part of NVIDIA's driver API that gapcam uses, with the emulated kernels. It
// replaces hardware that is not at hand; its devices have "emulated" in their names.
//
// It is stricter than a real driver. Work stays in its stream until the program synchronizes. The program cannot access
// device memory. Handles, contexts, argument lists and pointers are checked, and each mistake becomes a violation in
// the report. Any call can be made to fail (settings.cc).
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "../driver.h"
#include "../program.h"

namespace gapcam::cuda::fake {

constexpr Result kInvalidValue = 1, kInvalidContext = 201, kInvalidImage = 200, kNoBinary = 209, kInvalidHandle = 400,
                 kNotFound = 500, kTooManyResources = 701, kLaunchFailed = 719, kCaptureUnsupported = 900,
                 kCaptureInvalidated = 901, kNotInitialized = 3, kOutOfMemory = 2, kNoDevice = 100;

struct Allocation {
  uint8_t* begin;
  size_t bytes;
  bool is_mapped;           // host memory that the device can access
  bool is_written = false;  // mapped, and a graph has written to it: a failing call spoils it
};

struct Work {
  KernelId kernel;
  uint32_t grid[3], block[3];
  std::vector<uint8_t> params;
};

// The objects behind the handles.
struct ModuleObject {
  std::set<uint32_t> kernels;
};
struct FunctionObject {
  ModuleObject* module;
  KernelId kernel;
};
struct GraphObject {
  std::vector<Work> work;
  uint64_t memo = 0;  // hash of all mapped memory after its last run
};
struct Queued {
  std::vector<Work> work;
  GraphObject* graph;  // null for a single launch
};
struct StreamObject {
  std::vector<Queued> queue;
  std::unique_ptr<GraphObject> capture;
  bool is_invalidated = false;  // a forbidden call was made during the capture
};

// A failure to inject: once at the n-th call of all or of one name, or at every call of a name.
struct Injection {
  std::string name;  // "" for any
  uint64_t at = 0;   // 0 for every
  Result result = 0;
};

// A copy to the device that the program has not waited for. Other streams may run before it ends.
struct Upload {
  uint64_t to;
  std::vector<uint8_t> bytes;
};

struct State {
  std::mutex mutex;

  // Settings.
  int sm = 87;
  int version = 12060;
  int devices = 1;
  uint64_t memory_bytes = uint64_t{8} << 30;
  bool has_memo = false, is_wrong = false;

  std::vector<Injection> injections;
  std::string log_file, report_file;

  // The state of the driver.
  bool is_initialized = false;
  int retained = 0;  // of the primary context
  Result lost = 0;   // a sticky error: every call in the context fails with it
  uint64_t calls = 0, injected = 0, launches = 0, graph_launches = 0, memo_hits = 0;
  std::map<std::string, uint64_t> calls_by_name;
  std::vector<std::string> call_names;  // in order, if a log file is set
  std::vector<std::string> violations;
  std::map<uint64_t, Allocation> allocations;
  uint64_t allocated_bytes = 0;
  std::vector<Upload> uploads;
  std::set<ModuleObject*> modules;
  std::map<FunctionObject*, std::unique_ptr<FunctionObject>> functions;
  std::set<StreamObject*> streams;
  std::set<GraphObject*> graphs, execs;
};

State& TheState();

// The stack of contexts on this thread; the last one is current.
std::vector<Context>& Current();

// Records a mistake of the program in the report.
void Violation(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Whether work waits in a stream.
bool IsBusy();

// Starts a call: counts it, and returns an error if one is injected, if the context is lost, or if none is current
// although needs_context. Returns 0 if the call may continue. The caller holds the lock.
Result Begin(const char* symbol, bool needs_context);

// settings.cc
void Configure(State& state, const char* settings);
std::string Report(State& state);

// image.cc
Result CheckImage(const uint8_t* image);
// A stub, which is only an ELF header, has every kernel.
bool HasKernel(const uint8_t* image, const KernelRow& row);

// launch.cc
Result CheckLaunch(const FunctionObject& function, const Work& work);
// Runs the work that waits in a stream. A kernel that fails loses the context.
Result Drain(StreamObject* stream);
// After a failure outputs are undefined: this writes values that look like a plausible label.
void SpoilOutputs();
// Finishes all uploads.
void FinishUploads();
void Protect(const Allocation& allocation, bool is_device_running);

}  // namespace gapcam::cuda::fake
