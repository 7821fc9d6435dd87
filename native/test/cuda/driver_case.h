// What the tests of the CUDA executor share: a network, the tests' driver, and processes of their own, since a lost
// context is lost for a whole process.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../../cuda/frame.h"

namespace gapcam_test {

// A small network with every way through the executor: several kernels, a residual, two outputs.
struct CudaCase {
  CudaCase();

  std::vector<uint8_t> plan;
  std::vector<float> picture;
  std::vector<std::vector<float>> expected;  // each output, by the plain CPU target

  // A camera's frame for the same input, and what the CPU's pixel pass makes of it.
  gapcam::PixelSpec view;
  std::vector<uint8_t> frame_bytes;
  gapcam::PixelSource frame;
  std::vector<float> prepared;
};

// A cubin's header with nothing behind it, which is all that the tests' driver reads of one.
std::vector<uint8_t> StubCubin(int sm);

// Whether `input` holds the frame as the CPU prepares it, bit for bit.
bool IsPrepared(const CudaCase& test, const gapcam::cuda::CudaExecutor& executor);

// Opens the case's plan on the tests' driver.
gapcam::Status OpenCuda(const CudaCase& test, int image_sm, gapcam::cuda::Precision precision,
                        std::unique_ptr<gapcam::cuda::CudaExecutor>* executor);

// The outputs' largest difference from what is expected, as a share of an output's range.
float WorstDifference(const CudaCase& test, const gapcam::cuda::CudaExecutor& executor);

// Settings and report of the tests' driver, in this process (native/cuda/fake/settings.cc).
void ConfigureDriver(const char* settings);
std::string DriverReport();

// Runs `body` in a process of its own; "" where it answered "", else what it answered or how it ended.
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
