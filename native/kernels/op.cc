// The functions of Op and Allocator, compiled for the baseline instruction set; see op.h.
#include "op.h"

namespace gapcam {

Allocator::~Allocator() = default;
Op::~Op() = default;
uint32_t Op::Phases() const { return 1; }
size_t Op::ScratchBytes() const { return 0; }
uint64_t Op::Flops() const { return 0; }

}  // namespace gapcam
