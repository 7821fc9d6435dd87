#include "state.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace gapcam::cuda::fake {
namespace {

void WriteAtExit() {
  State& state = TheState();
  if (!state.report_file.empty()) {
    if (FILE* file = std::fopen(state.report_file.c_str(), "w")) {
      std::fputs(Report(state).c_str(), file);
      std::fclose(file);
    }
  }
  if (state.log_file.empty()) return;
  if (FILE* file = std::fopen(state.log_file.c_str(), "w")) {
    for (const std::string& name : state.call_names) std::fprintf(file, "%s\n", name.c_str());
    std::fclose(file);
  }
}

State* MakeState() {
  std::atexit(WriteAtExit);
  return new State();
}

bool IsContextLoss(Result result) {
  return result == 214 || (result >= 700 && result <= 719 && result != kTooManyResources) || result == 999;
}

const Injection* Injected(const State& state, const char* symbol) {
  for (const Injection& injection : state.injections) {
    const bool is_name = injection.name.empty() || injection.name == symbol;
    const uint64_t count = injection.name.empty() ? state.calls : state.calls_by_name.at(symbol);
    if (is_name && (injection.at == 0 || injection.at == count)) return &injection;
  }
  return nullptr;
}

}  // namespace

// Never destroyed: the program may call the driver until its end.
State& TheState() {
  static State* state = MakeState();
  static const bool is_configured = [] {
    Configure(*state, std::getenv("FAKE_CUDA"));
    return true;
  }();
  (void)is_configured;
  return *state;
}

std::vector<Context>& Current() {
  thread_local std::vector<Context> current;
  return current;
}

void Violation(const char* format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  State& state = TheState();
  if (state.violations.size() < 20) state.violations.push_back(text);
  std::fprintf(stderr, "emulated CUDA: %s\n", text);
}

bool IsBusy() {
  for (const StreamObject* stream : TheState().streams)
    if (!stream->queue.empty()) return true;
  return false;
}

Result Begin(const char* symbol, bool needs_context) {
  State& state = TheState();
  ++state.calls;
  ++state.calls_by_name[symbol];
  if (!state.log_file.empty()) state.call_names.push_back(symbol);
  if (const Injection* injection = Injected(state, symbol)) {
    ++state.injected;
    // The outputs are undefined after a launch or a wait that failed.
    if (std::strcmp(symbol, "cuGraphLaunch") == 0 || std::strcmp(symbol, "cuStreamSynchronize") == 0) SpoilOutputs();
    if (IsContextLoss(injection->result)) state.lost = injection->result;
    return injection->result;
  }
  if (!state.is_initialized && std::strcmp(symbol, "cuInit") != 0 && std::strcmp(symbol, "cuGetErrorName") != 0 &&
      std::strcmp(symbol, "cuDriverGetVersion") != 0)
    return kNotInitialized;
  if (!needs_context) return 0;
  if (state.lost) return state.lost;
  return Current().empty() ? kInvalidContext : 0;
}

}  // namespace gapcam::cuda::fake
