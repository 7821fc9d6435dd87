// The tests' libcuda.so.1: NVIDIA's driver API as far as gapcam uses it, over the emulated kernels. It stands in for the
// hardware that nobody has here, and says so: its devices are called "emulated".
//
// It is strict where a real driver is silent. Work waits in its stream until somebody synchronizes. Device memory cannot
// be read or written by the program. Handles, contexts, argument lists and pointers are checked, and whatever is wrong
// becomes a violation in the report. Any call can be made to fail (settings.cc).
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
  bool is_mapped;           // host memory that the device sees
  bool is_written = false;  // mapped, and a graph has written there: a call that fails spoils it
};

struct Work {
  KernelId kernel;
  uint32_t grid[3], block[3];
  std::vector<uint8_t> params;
};

// What the handles point at.
struct ModuleObject {
  std::set<uint32_t> kernels;
};
struct FunctionObject {
  ModuleObject* module;
  KernelId kernel;
};
struct GraphObject {
  std::vector<Work> work;
  uint64_t memo = 0;  // of all mapped memory after its last run
};
struct Queued {
  std::vector<Work> work;
  GraphObject* graph;  // null for a single launch
};
struct StreamObject {
  std::vector<Queued> queue;
  std::unique_ptr<GraphObject> capture;
  bool is_invalidated = false;  // the capture met a call that it forbids
};

// One failure to be injected: at the n-th call of all, or of one name, once; or at every call of a name.
struct Injection {
  std::string name;  // "" for any
  uint64_t at = 0;   // 0 for every
  Result result = 0;
};

// A copy to the device that nobody has waited for yet: other streams may run before it is there.
struct Upload {
  uint64_t to;
  std::vector<uint8_t> bytes;
};

struct State {
  std::mutex mutex;

  // What the device is.
  int sm = 87;
  int version = 12060;
  int devices = 1;
  uint64_t memory_bytes = uint64_t{8} << 30;
  bool has_memo = false, is_wrong = false;

  std::vector<Injection> injections;
  std::string log_file, report_file;

  // What it does.
  bool is_initialized = false;
  int retained = 0;  // of the primary context
  Result lost = 0;   // a sticky error happened: every call in the context fails with it
  uint64_t calls = 0, injected = 0, launches = 0, graph_launches = 0, memo_hits = 0;
  std::map<std::string, uint64_t> calls_by_name;
  std::vector<std::string> call_names;  // in order, where logged
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

// Contexts that are current on this thread, the innermost last.
std::vector<Context>& Current();

void Violation(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Whether anything waits in a stream.
bool IsBusy();

// Begins a call: counts it, fails it where that was asked for, and where the context is lost or (needs_context) none is
// current. 0 to go on. The caller holds the lock.
Result Begin(const char* symbol, bool needs_context);

// settings.cc
void Configure(State& state, const char* settings);
std::string Report(State& state);

// image.cc
Result CheckImage(const uint8_t* image);
// A stub (an ELF header alone) has every kernel.
bool HasKernel(const uint8_t* image, const KernelRow& row);

// launch.cc
Result CheckLaunch(const FunctionObject& function, const Work& work);
// Computes what waits in a stream. A kernel that fails loses the context.
Result Drain(StreamObject* stream);
// After a failure outputs may hold anything: here they hold what would be taken for a label.
void SpoilOutputs();
// Copies what was uploaded.
void FinishUploads();
void Protect(const Allocation& allocation, bool is_device_running);

}  // namespace gapcam::cuda::fake
