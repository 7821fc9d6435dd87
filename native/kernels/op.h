// Op: one step of a plan, prepared for one target: constants packed, algorithm chosen, tensors bound.
// The executor makes them once at open and runs them in order for every frame.
//
// Included by target translation units, so nothing here may be an inline function with external linkage or a
// template of the standard library: a copy compiled with -mavx2 could be the one that the linker keeps, and would
// crash on an older CPU. Op's own functions live in op.cc, which is compiled for the baseline.
#pragma once
#include <cstddef>
#include <cstdint>

#include "steps.h"

namespace gapcam {

// A tensor as an op sees it: `data` is bound for good when the op is made (arena and constants do not move).
struct TensorRef {
  void* data;        // constants must not be written
  uint32_t dims[5];  // row-major, dense; unused ones are 1, at the end
  uint32_t rank;
  uint32_t elements;
  bool constant;
};

// One validated step: the counts, indices, shapes, overlaps and parameters have been checked by the plan's reader.
struct StepRef {
  StepKind kind;
  const char* name;                // of the model's node, for messages
  const void* params;              // the kind's parameter block, such as Conv2dParams
  const TensorRef* const* inputs;  // null entries are absent optional tensors
  uint32_t input_count;
  const TensorRef* const* outputs;
  uint32_t output_count;
  // Work may be divided according to these; results must not depend on them.
  uint32_t threads;    // that will compute it
  size_t cache_bytes;  // of a core's second-level cache
};

// Memory that lives as long as the session; 64-byte aligned, zeroed. Returns null when it cannot be had.
class Allocator {
 public:
  virtual void* Allocate(size_t bytes) = 0;

 protected:
  ~Allocator();
};

// Runs in phases with a barrier between them. Within a phase the units are independent of one another, and how many
// there are does not depend on the number of threads, so that any thread count gives the same bits.
class Op {
 public:
  virtual uint32_t Phases() const;                   // 1 unless overridden
  virtual uint32_t Units(uint32_t phase) const = 0;  // at least 1
  // Computes units [first, last) of a phase. `scratch` is this worker's own, ScratchBytes() long, 64-byte aligned.
  virtual void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const = 0;
  virtual size_t ScratchBytes() const;     // per worker; 0 unless overridden
  virtual const char* Kernel() const = 0;  // e.g. "f32_gemm_6x16__avx2", for profiles
  virtual uint64_t Flops() const;          // 2 × multiply-accumulates of the direct algorithm; 0 unless overridden

 protected:
  ~Op();  // ops live in Allocator memory and are never destroyed one by one
};

// A CPU target: one translation unit in targets/, listed in dispatch.cc from the best to the plainest.
struct Target {
  const char* name;  // "avx512", "avx2", "neon", "scalar"
  // Why this machine cannot run it, or null if it can. Must be callable on any CPU (lives in dispatch.cc).
  const char* (*unsupported)();
  // Makes the op of a step, its packed constants taken from `memory`. Null with *reason set when the target has no
  // kernel for it or memory is short.
  const Op* (*make)(const StepRef& step, Allocator& memory, const char** reason);
  // The best FMA rate of one core in GFLOP/s, measured now in about 10 ms.
  double (*measure_peak)();
};

// All targets compiled in, best first; the last is scalar and always supported.
const Target* const* Targets(uint32_t* count);
// The best supported target, or the one named (by the caller, else GAPCAM_TARGET). Null with *reason (static or
// thread-local text) when the named one is unknown or unsupported: never a silent substitute.
const Target* ChooseTarget(const char* name, const char** reason);

}  // namespace gapcam
