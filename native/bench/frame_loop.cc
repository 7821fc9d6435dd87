// frame_loop PLAN THREADS FRAMES [plain]: runs a plan (from gapcam model compile) FRAMES times and prints, as JSON, the
// allocations and the system calls except futex that it made. With `plain` it only runs, so that a tracer can watch it.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../plan/executor.h"
#include "frame_calls.h"

static std::vector<uint8_t> ReadFile(const char* path) {
  std::vector<uint8_t> bytes;
  std::FILE* file = std::fopen(path, "rb");
  if (!file) return bytes;
  uint8_t block[1 << 16];
  for (size_t count; (count = std::fread(block, 1, sizeof(block), file)) > 0;)
    bytes.insert(bytes.end(), block, block + count);
  std::fclose(file);
  return bytes;
}

int main(int count, char** arguments) {
  if (count < 4) {
    std::fprintf(stderr, "usage: frame_loop PLAN THREADS FRAMES [plain]\n");
    return 2;
  }
  const std::vector<uint8_t> plan = ReadFile(arguments[1]);
  const auto threads = static_cast<uint32_t>(std::atoi(arguments[2])),
             frames = static_cast<uint32_t>(std::atoi(arguments[3]));
  const char* reason = "";
  const gapcam::Target* target = gapcam::ChooseTarget(nullptr, &reason);
  if (!target) {
    std::fprintf(stderr, "%s\n", reason);
    return 1;
  }
  if (count > 4) {
    std::unique_ptr<gapcam::Executor> executor;
    const gapcam::Status status = gapcam::Executor::Open(plan.data(), plan.size(), *target, threads, &executor);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.message());
    for (uint32_t i = 0; status.ok() && i < frames; ++i) executor->Run();
    return status.ok() ? 0 : 1;
  }
  const gapcam_bench::FrameCalls calls =
      gapcam_bench::CountFrameCalls(plan.data(), plan.size(), *target, threads, frames);
  std::printf("{\"target\":\"%s\",\"threads\":%u,\"frames\":%u,\"allocations\":%lld,\"otherCalls\":%lld}\n",
              target->name, threads, frames, static_cast<long long>(calls.allocations),
              static_cast<long long>(calls.system_calls));
  return calls.ok ? 0 : 1;
}
