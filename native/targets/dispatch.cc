// Lists the compiled-in targets, finds those that this machine supports, and chooses one.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "../kernels/targets.h"

namespace gapcam {
namespace {

const Target* const kAllTargets[] = {
#if defined(__x86_64__)
#if !defined(GAPCAM_WITHOUT_AVX512)
    &kTargetAvx512Vnni, &kTargetAvx512,
#endif
#if !defined(GAPCAM_WITHOUT_AVXVNNI)
    &kTargetAvxVnni,
#endif
    &kTargetAvx2,
#elif defined(__aarch64__)
    &kTargetNeonDot,
    &kTargetNeon,
    // Only for plans compiled for half precision, which name it.
    &kTargetNeonHalf,
#endif
    &kTargetReference,
};
constexpr uint32_t kTargetCount = sizeof(kAllTargets) / sizeof(kAllTargets[0]);

thread_local char refusal[160];

}  // namespace

const char* AlwaysSupported() { return nullptr; }

#if defined(__x86_64__)
// The compiler's run-time support reads CPUID, and XGETBV for whether the operating system saves the registers.
const char* Avx2Unsupported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? nullptr
                                                                         : "the processor has no AVX2 with FMA";
}

const char* Avx512Unsupported() {
  __builtin_cpu_init();
  const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return has && !Avx2Unsupported() ? nullptr : "the processor has no AVX-512 (F, DQ, BW, VL)";
}

// CPUID leaf 7: AVX512_VNNI is bit 11 of ECX in subleaf 0, AVX-VNNI bit 4 of EAX in subleaf 1.
const char* AvxVnniUnsupported() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool has = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
  return has && !Avx2Unsupported() ? nullptr : "the processor has no AVX-VNNI";
}

const char* Avx512VnniUnsupported() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool has = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 11 & 1);
  return has && !Avx512Unsupported() ? nullptr : "the processor has no AVX-512 with VNNI";
}
#elif defined(__aarch64__)
const char* NeonDotUnsupported() {
  constexpr unsigned long kDotProduct = 1ul << 20;  // HWCAP_ASIMDDP
  return getauxval(AT_HWCAP) & kDotProduct ? nullptr : "the processor has no dot product (ARMv8.2 ASIMDDP)";
}

const char* NeonHalfUnsupported() {
  constexpr unsigned long kHalfPrecision = 1ul << 10;  // HWCAP_ASIMDHP
  const bool has = getauxval(AT_HWCAP) & kHalfPrecision;
  return has ? NeonDotUnsupported() : "the processor has no half precision (ARMv8.2 ASIMDHP)";
}
#endif

const Target* const* Targets(uint32_t* count) {
  *count = kTargetCount;
  return kAllTargets;
}

const Target* ChooseTarget(const char* name, const char** reason) {
  if (!name) name = std::getenv("GAPCAM_TARGET");
  for (const Target* target : kAllTargets) {
    const char* why = target->unsupported();
    if (!name && !why) return target;
    if (!name || std::strcmp(name, target->name) != 0) continue;
    if (!why) return target;
    std::snprintf(refusal, sizeof(refusal), "target %s cannot be used: %s", name, why);
    *reason = refusal;
    return nullptr;
  }
  int length =
      std::snprintf(refusal, sizeof(refusal), "there is no target named %.40s; this build has", name ? name : "");
  for (const Target* target : kAllTargets)
    length += std::snprintf(refusal + length, sizeof(refusal) - static_cast<size_t>(length), " %s", target->name);
  *reason = refusal;
  return nullptr;
}

}  // namespace gapcam
