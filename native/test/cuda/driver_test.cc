// The CUDA executor on the test driver: right results in every generation and precision, a sentence for each missing
// part, and the fault matrix. In the matrix each driver call of opening, a frame, two runs and closing fails once, with
// a temporary error and with one that loses the context.
#include <algorithm>
#include <cstdlib>

#include "../check.h"
#include "driver_case.h"

namespace gapcam_test {
namespace {

using gapcam::Status;
using gapcam::cuda::CudaExecutor;
using gapcam::cuda::FramePass;
using gapcam::cuda::Precision;

constexpr int kGenerations[] = {72, 87, 89, 90, 110};
constexpr Precision kPrecisions[] = {Precision::kFloat32, Precision::kFloat16};

float Tolerance(Precision precision) { return precision == Precision::kFloat32 ? 1e-4f : 2e-2f; }

const CudaCase& TheCase() {
  static const CudaCase test;
  return test;
}

void SetPicture(const CudaCase& test, const CudaExecutor& executor) {
  std::copy(test.picture.begin(), test.picture.end(), static_cast<float*>(executor.input(0)));
}

bool IsClean(const std::string& report) {
  return report.find(
             "\"leaks\":{\"contexts\":0,\"allocations\":0,\"modules\":0,\"streams\":0,\"graphs\":0},\"violations\":["
             "]") != std::string::npos;
}

// Opens, prepares a frame, runs twice and closes. "" means success.
std::string OpenRunClose(const std::string& settings, int image_sm, Precision precision) {
  ConfigureDriver(settings.c_str());
  {
    std::unique_ptr<CudaExecutor> opened;
    Status status = OpenCuda(TheCase(), image_sm, precision, &opened);
    if (!status.ok()) return status.message();
    const std::shared_ptr<CudaExecutor> executor = std::move(opened);
    FramePass pass(executor, TheCase().view);
    status = pass.Run(TheCase().frame);
    if (!status.ok()) return status.message();
    if (!IsPrepared(TheCase(), *executor)) return "the frame differs from the CPU's";
    for (int run = 0; run < 2; ++run) {
      SetPicture(TheCase(), *executor);
      status = executor->Run();
      if (!status.ok()) return status.message();
      const float worst = WorstDifference(TheCase(), *executor);
      if (!(worst <= Tolerance(precision))) return "off by " + std::to_string(worst);
    }
  }
  const std::string report = DriverReport();
  return IsClean(report) ? "" : report;
}

TEST("cuda: every generation computes the CPU's results in both precisions, and releases everything") {
  for (const int sm : kGenerations) {
    for (const Precision precision : kPrecisions) {
      const std::string wrong = InChild([&] { return OpenRunClose("sm=" + std::to_string(sm), sm, precision); });
      EXPECT(wrong.empty(), "sm_%d, %s: %s", sm, precision == Precision::kFloat32 ? "fp32" : "fp16", wrong.c_str());
    }
  }
}

TEST("cuda: a missing part is reported in one sentence") {
  const struct {
    const char* settings;
    int image_sm;
    const char* sentence;
  } cases[] = {
      {"devices=0", 87, "cuInit failed with CUDA_ERROR_NO_DEVICE (100) while starting the NVIDIA driver"},
      {"version=10020", 87, "the NVIDIA driver is too old: it supports CUDA 10.2, but 11.4 (JetPack 5) is needed"},
      {"sm=72", 87, "cuModuleLoadData failed with CUDA_ERROR_NO_BINARY_FOR_GPU (209) while loading the kernels"},
      {"memory=1000", 87, "cuMemAlloc failed with CUDA_ERROR_OUT_OF_MEMORY (2) while taking"},
  };
  for (const auto& wanted : cases) {
    const std::string said =
        InChild([&] { return OpenRunClose(wanted.settings, wanted.image_sm, Precision::kFloat16); });
    EXPECT(said.rfind(wanted.sentence, 0) == 0, "%s: %s", wanted.settings, said.c_str());
  }
}

uint64_t CallsOfReport(const std::string& report) {
  return std::strtoull(report.c_str() + report.find("\"calls\":") + 8, nullptr, 10);
}

// Does what the engine does, with failing calls: every failure must be reported, and every success must be right.
std::string WithFault(const std::string& settings) {
  ConfigureDriver(settings.c_str());
  bool is_told = false;
  {
    std::unique_ptr<CudaExecutor> opened;
    is_told = !OpenCuda(TheCase(), 87, Precision::kFloat16, &opened).ok();
    const std::shared_ptr<CudaExecutor> executor = std::move(opened);
    if (executor) {
      const Status status = FramePass(executor, TheCase().view).Run(TheCase().frame);
      is_told = is_told || !status.ok();
      if (status.ok() && !IsPrepared(TheCase(), *executor)) return "a wrong frame";
    }
    for (int run = 0; executor && run < 2; ++run) {
      SetPicture(TheCase(), *executor);
      const Status status = executor->Run();
      is_told = is_told || !status.ok();
      const float worst = WorstDifference(TheCase(), *executor);
      if (status.ok() && !(worst <= Tolerance(Precision::kFloat16)))
        return "a wrong result: off by " + std::to_string(worst);
      const bool is_intact =
          std::equal(TheCase().picture.begin(), TheCase().picture.end(), static_cast<float*>(executor->input(0)));
      if (!is_intact) return "the input was overwritten, so the CPU cannot compute the frame";
    }
    if (gapcam::cuda::PoisonedBy() && OpenCuda(TheCase(), 87, Precision::kFloat16, &opened).ok())
      return "opened on a lost context";
  }
  const std::string report = DriverReport();
  if (report.find("\"violations\":[]") == std::string::npos) return report;
  if (report.find("\"injected\":0") != std::string::npos) return "the fault was not injected: " + report;
  return is_told ? "told" : "";
}

TEST("cuda: frames of changing sizes equal the CPU's, and a frame that the CPU refuses is refused") {
  const std::string wrong = InChild([]() -> std::string {
    ConfigureDriver("");
    {
      std::unique_ptr<CudaExecutor> opened;
      Status status = OpenCuda(TheCase(), 87, Precision::kFloat16, &opened);
      if (!status.ok()) return status.message();
      const std::shared_ptr<CudaExecutor> executor = std::move(opened);
      FramePass pass(executor, TheCase().view);
      gapcam::PixelPass on_cpu(TheCase().view);
      gapcam::PixelSource frame = TheCase().frame;
      std::vector<float> right(TheCase().prepared.size());
      for (const uint32_t width : {30u, 30u, 17u, 2u, 30u}) {
        frame.width = width;
        status = on_cpu.Run(frame, right.data());
        if (status.ok()) status = pass.Run(frame);
        if (!status.ok()) return status.message();
        if (!std::equal(right.begin(), right.end(), static_cast<float*>(executor->input(0))))
          return "wrong at width " + std::to_string(width);
      }
      frame.bytes = 1;
      status = pass.Run(frame);
      if (std::string(status.code()) != "FRAME_INVALID")
        return std::string("a frame that is too short: ") + status.message();
      gapcam::PixelSpec other = TheCase().view;
      other.width = 12;
      if (FramePass(executor, other).Run(TheCase().frame).ok()) return "a pass with another size than the input ran";
    }
    return IsClean(DriverReport()) ? "" : DriverReport();
  });
  EXPECT(wrong.empty(), "%s", wrong.c_str());
}

TEST(
    "cuda: each driver call of opening, a frame, two runs and closing fails once: no crash, no wrong result, no lost "
    "input") {
  const std::string report = InChild([] {
    OpenRunClose("", 87, Precision::kFloat16);
    return DriverReport();
  });
  const uint64_t calls = CallsOfReport(report);
  EXPECT(calls > 50, "only %llu calls: %s", static_cast<unsigned long long>(calls), report.c_str());
  uint64_t told = 0, cases = 0;
  for (const int error : {2, 700}) {
    for (uint64_t n = 1; n <= calls; ++n, ++cases) {
      const std::string answer =
          InChild([&] { return WithFault("fail=" + std::to_string(n) + ":" + std::to_string(error)); });
      EXPECT(answer.empty() || answer == "told", "call %llu failing with %d: %s", static_cast<unsigned long long>(n),
             error, answer.c_str());
      told += answer == "told";
    }
  }
  // Only failures of calls that release something, or that restore a thread's context, are not reported.
  EXPECT(told >= cases * 3 / 4, "%llu of %llu faults were reported", static_cast<unsigned long long>(told),
         static_cast<unsigned long long>(cases));
}

TEST("cuda: each driver call fails every time: no crash, no wrong result, no lost input") {
  const char* const symbols[] = {
#define GAPCAM_CUDA_CALL(name, symbol, parameters) symbol,
#include "../../cuda/driver.def"
#undef GAPCAM_CUDA_CALL
  };
  for (const char* symbol : symbols) {
    // These two are called only after another failure.
    const std::string name = symbol;
    const std::string first = name == "cuCtxSynchronize" || name == "cuGetErrorName" ? "fail=cuGraphLaunch@1:2 " : "";
    const std::string answer = InChild([&] { return WithFault(first + "fail=" + symbol + ":2"); });
    EXPECT(answer.empty() || answer == "told", "%s: %s", symbol, answer.c_str());
  }
}

TEST("cuda: a lost context turns CUDA off for the process, and a temporary error does not") {
  const auto after = [](const char* settings) {
    return InChild([&]() -> std::string {
      ConfigureDriver("");
      std::unique_ptr<CudaExecutor> executor;
      const Status opened = OpenCuda(TheCase(), 87, Precision::kFloat16, &executor);
      if (!opened.ok()) return opened.message();
      ConfigureDriver(settings);
      SetPicture(TheCase(), *executor);
      const Status first = executor->Run();
      if (first.ok()) return "the run did not fail";
      const Status second = executor->Run();
      const char* sentence = gapcam::cuda::PoisonedBy();
      return std::string(first.message()) + (second.ok() ? "; then right" : "; then failed") +
             (sentence ? "; off" : "; on");
    });
  };
  const std::string lost = after("fail=cuStreamSynchronize@2:719");
  EXPECT(lost == "cuStreamSynchronize failed with CUDA_ERROR_LAUNCH_FAILED (719) while computing; then failed; off",
         "%s", lost.c_str());
  const std::string restless = after("fail=cuGraphLaunch@1:2 fail=cuCtxSynchronize:2");
  EXPECT(
      restless == "cuGraphLaunch failed with CUDA_ERROR_OUT_OF_MEMORY (2) while starting the network; then right; off",
      "%s", restless.c_str());
  const std::string passed = after("fail=cuGraphLaunch@1:2");
  EXPECT(passed == "cuGraphLaunch failed with CUDA_ERROR_OUT_OF_MEMORY (2) while starting the network; then right; on",
         "%s", passed.c_str());
}

}  // namespace
}  // namespace gapcam_test
