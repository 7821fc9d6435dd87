// The set-up of the CUDA executor's tests: a network, the test driver, and child processes. A lost context is lost for
// the whole process, so each case needs its own.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../../cuda/frame.h"

namespace gapcam_test {

// A small network that uses all parts of the executor: several kernels, a residual, two outputs.
struct CudaCase {
  CudaCase();

  std::vector<uint8_t> plan;
  std::vector<float> picture;
  std::vector<std::vector<float>> expected;  // each output, by the scalar target of the CPU

  // A camera's frame, and the same input as the CPU's pixel pass computes it from the frame.
  gapcam::PixelSpec view;
  std::vector<uint8_t> frame_bytes;
  gapcam::PixelSource frame;
  std::vector<float> prepared;
};

// The header of a cubin without sections. The test driver accepts it.
std::vector<uint8_t> StubCubin(int sm);

// Whether the executor's input equals the CPU's, bit for bit.
bool IsPrepared(const CudaCase& test, const gapcam::cuda::CudaExecutor& executor);

// Opens the case's plan on the test driver.
gapcam::Status OpenCuda(const CudaCase& test, int image_sm, gapcam::cuda::Precision precision,
                        std::unique_ptr<gapcam::cuda::CudaExecutor>* executor);

// The largest difference of an output from the expected one, as a share of its range.
float WorstDifference(const CudaCase& test, const gapcam::cuda::CudaExecutor& executor);

// Settings and report of the test driver in this process (native/cuda/fake/settings.cc).
void ConfigureDriver(const char* settings);
std::string DriverReport();

// Runs `body` in a child process. Returns its answer, or how the process ended; "" means success.
template <typename Body>
std::string InChild(const Body& body);

int BeginChild(int* pipe_to_parent);
std::string EndChild(int child, int pipe_from_child);
[[noreturn]] void AnswerParent(int pipe, const std::string& answer);

template <typename Body>
std::string InChild(const Body& body) {
  int pipe = -1;
  const int child = BeginChild(&pipe);
  if (child == 0) AnswerParent(pipe, body());
  return EndChild(child, pipe);
}

}  // namespace gapcam_test
