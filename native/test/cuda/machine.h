// A machine for programs without a GPU: the memory that a driver would take, every byte of it poisoned, and the emulator.
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

  // Poisons whatever a run must write itself, and runs.
  gapcam::Status Run();

 private:
  uint8_t* base(gapcam::cuda::Memory memory) { return reinterpret_cast<uint8_t*>(bases_[memory]); }

  gapcam::cuda::Program program_;
  std::vector<std::vector<uint8_t>> blocks_;
  uint64_t bases_[gapcam::cuda::kMemoryCount];
};

// Whether an output lies on the device in the network's elements, and is converted when all steps have run.
bool IsConverted(const gapcam::cuda::Program& program, size_t port);

// The generations whose code paths differ, with a small and a large number of multiprocessors, and their names.
struct NamedGeneration {
  const char* name;
  gapcam::cuda::Generation generation;
};
extern const std::vector<NamedGeneration> kGenerations;

}  // namespace gapcam_test
