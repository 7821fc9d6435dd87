// One case, opened on a target. The arena around each tensor holds bytes that are NaNs as floats: a read beside an input
// shows in the result, and a write beside an output is found afterwards.
#pragma once
#include "../plan/executor.h"
#include "cases.h"

namespace gapcam_test {

class CaseRun {
 public:
  // The case must outlive the run.
  CaseRun(const Case& c, const gapcam::Target& target, uint32_t threads);

  const gapcam::Status& status() const { return status_; }
  const char* kernel() const { return executor_->op(0).Kernel(); }

  // Fills the arena, writes the inputs and runs the step.
  void Compute();

  // The elements of output `i`, which must be present: of a float32 output, and element `at` of any.
  const float* Floats(size_t i) const { return static_cast<const float*>(executor_->data(outputs_[i])); }
  double Element(size_t i, size_t at) const;

  uint64_t arena_bytes() const { return executor_->plan().arena_bytes; }
  // The beginning of the arena, derived from the address of its first tensor.
  uint8_t* arena() const;
  // The first byte of the arena that changed although no output covers it, or -1.
  int64_t FirstStrayWrite() const;

 private:
  const Case& case_;
  std::vector<uint32_t> inputs_, outputs_;
  std::unique_ptr<gapcam::Executor> executor_;
  gapcam::Status status_;
  std::vector<uint8_t> before_;
};

}  // namespace gapcam_test
