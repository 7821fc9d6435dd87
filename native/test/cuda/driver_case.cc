#include "driver_case.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "../../plan/executor.h"
#include "../check.h"
#include "../plan_builder.h"
#include "../random.h"

namespace gapcam_test {
namespace {

using gapcam::Elementwise;
using gapcam::StepKind;

void* DriverSymbol(const char* name) {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  return library ? dlsym(library, name) : nullptr;
}

}  // namespace

CudaCase::CudaCase() {
  Random random(5);
  PlanBuilder builder;
  const auto weights = [&](const PlanBuilder::Shape& shape) {
    return builder.Constant(shape, random.Floats(ElementsOf(shape), 0.3f));
  };
  const uint32_t input = builder.Arena({1, 13, 11, 3}), stem = builder.Arena({1, 7, 6, 24}),
                 depth = builder.Arena({1, 7, 6, 24}), sum = builder.Arena({1, 7, 6, 24});
  const uint32_t pooled = builder.Arena({1, 1, 1, 40}), dense = builder.Arena({1, 10}), scores = builder.Arena({1, 10});
  builder.Input(input);
  builder.Step(StepKind::kConv2d, {input, weights({24, 3, 3, 3}), weights({24})}, {stem}, Convolution(3, 2, 1));
  builder.Step(StepKind::kConv2d, {stem, weights({24, 1, 3, 3}), weights({24})}, {depth}, Convolution(3, 1, 24));
  builder.Step(StepKind::kConv2d, {depth, weights({24, 24, 1, 1}), weights({24}), stem}, {sum}, Convolution(1, 1, 1));
  builder.Step(StepKind::kConv2d, {sum, weights({40, 24, 1, 1}), weights({40})}, {gapcam::kAbsent, pooled},
               Convolution(1, 1, 1));
  builder.Step(StepKind::kDense, {pooled, weights({10, 40}), weights({10})}, {dense},
               gapcam::DenseParams{1, Elementwise::kNone, 0, 0});
  builder.Step(StepKind::kSoftmax, {dense}, {scores}, gapcam::SoftmaxParams{0, 1, 10, 1});
  builder.Output(scores);
  builder.Output(pooled);
  plan = builder.Build();
  picture = random.Floats(13 * 11 * 3);

  view.width = 11, view.height = 13, view.rotate = 90;
  std::fill(view.mean, view.mean + 3, 120.0f), std::fill(view.std, view.std + 3, 60.0f);
  frame.format = gapcam::PixelFormat::kNv12, frame.width = 30, frame.height = 21, frame.stride = 32;
  frame_bytes.resize(gapcam::PixelBytes(frame.format, frame.stride, frame.height));
  for (uint8_t& byte : frame_bytes) byte = static_cast<uint8_t>(random.Next());
  frame.data = frame_bytes.data(), frame.bytes = frame_bytes.size();
  prepared.resize(picture.size());
  const gapcam::Status passed = gapcam::PixelPass(view).Run(frame, prepared.data());
  EXPECT(passed.ok(), "%s", passed.message());

  const char* reason = "";
  const gapcam::Target* target = gapcam::ChooseTarget("scalar", &reason);
  std::unique_ptr<gapcam::Executor> executor;
  const gapcam::Status status = gapcam::Executor::Open(plan.data(), plan.size(), *target, 1, &executor);
  EXPECT(status.ok(), "%s", status.message());
  if (!status.ok()) return;
  std::memcpy(executor->data(input), picture.data(), picture.size() * 4);
  executor->Run();
  for (const gapcam::PlanPort& port : executor->plan().outputs) {
    const auto* values = static_cast<const float*>(executor->data(port.tensor));
    expected.emplace_back(values, values + executor->plan().tensors[port.tensor].elements);
  }
}

bool IsPrepared(const CudaCase& test, const gapcam::cuda::CudaExecutor& executor) {
  return std::memcmp(executor.input(0), test.prepared.data(), test.prepared.size() * sizeof(float)) == 0;
}

std::vector<uint8_t> StubCubin(int sm) {
  std::vector<uint8_t> image(64);
  std::memcpy(image.data(), "\177ELF\2\1\1\63\7", 9);
  image[18] = 190;
  image[48] = static_cast<uint8_t>(sm);
  return image;
}

gapcam::Status OpenCuda(const CudaCase& test, int image_sm, gapcam::cuda::Precision precision,
                        std::unique_ptr<gapcam::cuda::CudaExecutor>* executor) {
  const std::vector<uint8_t> image = StubCubin(image_sm);
  return gapcam::cuda::CudaExecutor::Open(test.plan.data(), test.plan.size(), {precision, image.data()}, executor);
}

float WorstDifference(const CudaCase& test, const gapcam::cuda::CudaExecutor& executor) {
  float worst = 0;
  for (uint32_t port = 0; port < test.expected.size(); ++port) {
    const std::vector<float>& right = test.expected[port];
    const auto* computed = static_cast<const float*>(executor.output(port));
    const auto [least, most] = std::minmax_element(right.begin(), right.end());
    for (size_t i = 0; i < right.size(); ++i) {
      const float difference = std::fabs(computed[i] - right[i]) / (*most - *least);
      if (!(difference <= worst)) worst = difference;
    }
  }
  return worst;
}

void ConfigureDriver(const char* settings) {
  if (auto* configure = reinterpret_cast<void (*)(const char*)>(DriverSymbol("fake_cuda_configure")))
    configure(settings);
  else
    Fail(__FILE__, __LINE__, "the test driver (libcuda.so.1) cannot be opened: %s", dlerror());
}

std::string DriverReport() {
  char text[8192] = "";
  if (auto* report = reinterpret_cast<void (*)(char*, size_t)>(DriverSymbol("fake_cuda_report")))
    report(text, sizeof(text));
  return text;
}

int BeginChild(int* pipe_to_parent) {
  int ends[2];
  std::fflush(nullptr);
  if (pipe(ends) != 0) return -1;
  const int child = fork();
  close(ends[child == 0 ? 0 : 1]);
  *pipe_to_parent = ends[child == 0 ? 1 : 0];
  return child;
}

void AnswerParent(int pipe, const std::string& answer) {
  // The pipe's buffer is larger than an answer, so one write is enough.
  const ssize_t written = write(pipe, answer.data(), answer.size());
  _exit(written == static_cast<ssize_t>(answer.size()) ? 0 : 1);
}

std::string EndChild(int child, int pipe_from_child) {
  if (child < 0) return "fork failed";
  std::string answer;
  char block[4096];
  for (ssize_t count; (count = read(pipe_from_child, block, sizeof(block))) > 0;)
    answer.append(block, static_cast<size_t>(count));
  close(pipe_from_child);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return answer + " ended by signal " + std::to_string(WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? answer : answer + " ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace gapcam_test
