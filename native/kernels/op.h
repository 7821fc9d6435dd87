// Op: one step of a plan, prepared for one target, with its constants packed, its algorithm chosen and its tensors
// bound. The executor makes all ops when a session opens and runs them in order for every frame.
//
// Target translation units include this header. It must not hold an inline function with external linkage, nor use a
// template of the standard library: the linker may keep the copy that was compiled with -mavx2, which crashes on an
// older processor. Op's own functions are in op.cc, which is compiled for the baseline.
#pragma once
#include <cstddef>
#include <cstdint>

#include "steps.h"

namespace gapcam {

// A tensor as an op sees it. `data` is fixed when the op is made, because arena and constants do not move.
struct TensorRef {
  void* data;        // not owned; ops must not write constants
  PlanType type;     // of the elements at `data`
  uint32_t dims[5];  // row-major and dense; unused ones follow and are 1
  uint32_t rank;
  uint32_t elements;
  bool constant;
  // Of int8 and uint8: an element q stands for scale · (q - zero_point). 1 and 0 for other types.
  float scale;
  int32_t zero_point;
};

// What bytes stand for, as in a TensorRef.
struct QuantCode {
  float scale;
  int32_t zero;
};

// One step. The plan's reader has checked its counts, indices, shapes, overlaps and parameters.
struct StepRef {
  StepKind kind;
  const char* name;                // name of the model's node, for messages
  const void* params;              // the kind's parameter block, such as Conv2dParams
  const TensorRef* const* inputs;  // null entries are absent optional tensors
  uint32_t input_count;
  const TensorRef* const* outputs;
  uint32_t output_count;
  // An op may divide its work by these two. Results must not depend on them.
  uint32_t threads;    // threads that will compute the step
  size_t cache_bytes;  // size of a core's second-level cache
};

// Memory that lives as long as the session: zeroed and aligned to 64 bytes. Allocate returns null when memory is short.
class Allocator {
 public:
  virtual void* Allocate(size_t bytes) = 0;

 protected:
  ~Allocator();
};

// A prepared step. It runs in phases with a barrier between them. The units of a phase are independent of one another,
// and the way in which values are summed does not depend on the number of threads, so every thread count gives the same
// bits.
class Op {
 public:
  virtual uint32_t Phases() const;                   // 1 by default
  virtual uint32_t Units(uint32_t phase) const = 0;  // at least 1
  // Computes units [first, last) of a phase. `scratch` belongs to the calling worker: ScratchBytes() bytes, aligned to
  // 64.
  virtual void Run(uint32_t phase, uint32_t first, uint32_t last, void* scratch) const = 0;
  virtual size_t ScratchBytes() const;     // per worker; 0 by default
  virtual const char* Kernel() const = 0;  // e.g. "f32_gemm_6x16__avx2", for profiles
  virtual uint64_t Flops() const;          // 2 × multiply-accumulates of the direct algorithm; 0 by default

 protected:
  ~Op();  // ops live in Allocator memory and are never destroyed individually
};

// A CPU target: one translation unit in targets/. dispatch.cc lists them, the best first.
struct Target {
  const char* name;  // "avx512", "avx2", "neon", "scalar"
  // Returns why this machine cannot run the target, or null if it can. Callable on any processor (in dispatch.cc).
  const char* (*unsupported)();
  // Makes the op of a step in `memory`, with its constants packed. Returns null and sets *reason to a static text when
  // the target has no kernel for the step or memory is short.
  const Op* (*make)(const StepRef& step, Allocator& memory, const char** reason);
  // Measures the best multiply-add rate of one core in GFLOP/s; takes about 10 ms.
  double (*measure_peak)();
};

// All compiled-in targets, the best first. The last one is scalar and always supported.
const Target* const* Targets(uint32_t* count);
// The target with this name; if name is null, the one that GAPCAM_TARGET names; otherwise the best supported one. If
// the named target is unknown or unsupported, returns null and sets *reason (static or thread-local text): no other
// target takes its place silently.
const Target* ChooseTarget(const char* name, const char** reason);

}  // namespace gapcam
