#include "fiber.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// The switch saves the callee-saved registers: six by the System V ABI of x86-64; x19 to x30 and d8 to d15 by the ABI
// of arm64. Rounding modes do not change here, so they are not saved.
#if defined(__x86_64__)
__asm__(
    ".text\n.globl gapcam_cuda_switch_fiber\n.hidden gapcam_cuda_switch_fiber\n.type "
    "gapcam_cuda_switch_fiber,@function\n"
    "gapcam_cuda_switch_fiber:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n.size gapcam_cuda_switch_fiber,.-gapcam_cuda_switch_fiber\n");
#elif defined(__aarch64__)
__asm__(
    ".text\n.globl gapcam_cuda_switch_fiber\n.hidden gapcam_cuda_switch_fiber\n.type "
    "gapcam_cuda_switch_fiber,%function\n"
    "gapcam_cuda_switch_fiber:\n"
    "  sub sp, sp, #160\n"
    "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
    "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "  mov x2, sp\n  str x2, [x0]\n  mov sp, x1\n"
    "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #160\n"
    "  ret\n.size gapcam_cuda_switch_fiber,.-gapcam_cuda_switch_fiber\n");
#else
#error "the emulator's fibers support x86-64 and arm64 only"
#endif

namespace gapcam {
namespace cuda {
namespace emulator {

// Saves the current stack pointer in *from and continues at `to`.
extern "C" void gapcam_cuda_switch_fiber(void** from, void* to);

Fiber PrepareFiber(void* stack, void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  // A fiber that was abandoned has left AddressSanitizer's marks around its variables.
  __asan_unpoison_memory_region(stack, kFiberStackBytes);
#endif
  auto* top = reinterpret_cast<void**>(static_cast<uint8_t*>(stack) + kFiberStackBytes);
#if defined(__x86_64__)
  // As after a call: the return address of `entry`, which never returns, lies at a multiple of 16 plus 8.
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
#else
  top -= 20;
  for (int i = 0; i < 20; ++i) top[i] = nullptr;
  top[11] = reinterpret_cast<void*>(entry);  // x30
#endif
  return {top, stack, kFiberStackBytes};
}

#if defined(__SANITIZE_ADDRESS__)
void EnterFiber(Fiber& from) { __sanitizer_finish_switch_fiber(nullptr, &from.stack, &from.stack_bytes); }

void SwitchFiber(Fiber& from, const Fiber& to) {
  void* variables = nullptr;  // of `from`, where AddressSanitizer keeps them off the stack
  __sanitizer_start_switch_fiber(&variables, to.stack, to.stack_bytes);
  gapcam_cuda_switch_fiber(&from.place, to.place);
  __sanitizer_finish_switch_fiber(variables, nullptr, nullptr);
}
#else
void EnterFiber(Fiber&) {}

void SwitchFiber(Fiber& from, const Fiber& to) { gapcam_cuda_switch_fiber(&from.place, to.place); }
#endif

}  // namespace emulator
}  // namespace cuda
}  // namespace gapcam
