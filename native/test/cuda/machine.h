// Runs programs without a GPU: allocates the memory of a program, poisons every byte of it, and launches on the emulator.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../../cuda/emulator/emulator.h"

namespace gapcam_test {

class Machine {
 public:
  explicit Machine(gapcam::cuda::Program program);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  float* input(size_t port) {
    return reinterpret_cast<float*>(base(gapcam::cuda::kInput) + program_.inputs[port].offset);
  }
  const float* output(size_t port) {
    return reinterpret_cast<const float*>(base(gapcam::cuda::kOutput) + program_.outputs[port].offset);
  }
  const gapcam::cuda::Program& program() const { return program_; }

  // Poisons activations and outputs, and runs.
  gapcam::Status Run();

 private:
  uint8_t* base(gapcam::cuda::Memory memory) { return reinterpret_cast<uint8_t*>(bases_[memory]); }

  gapcam::cuda::Program program_;
  std::vector<std::vector<uint8_t>> blocks_;
  uint64_t bases_[gapcam::cuda::kMemoryCount];
};

// Whether an output is converted after all steps, because it lies on the device in the network's element type.
bool IsConverted(const gapcam::cuda::Program& program, size_t port);

// The generations with different code paths, with small and large numbers of multiprocessors.
struct NamedGeneration {
  const char* name;
  gapcam::cuda::Generation generation;
};
extern const std::vector<NamedGeneration> kGenerations;

}  // namespace gapcam_test
