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
namespace {

// CPUID and XGETBV themselves, since not every compiler brings the run-time support of __builtin_cpu_supports.
struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
  Leaf(unsigned leaf, unsigned subleaf) { __get_cpuid_count(leaf, subleaf, &a, &b, &c, &d); }
};

constexpr bool Has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

// Whether the operating system saves these registers: bits of XCR0. OSXSAVE (leaf 1, ECX bit 27) allows the question.
bool SavesRegisters(unsigned wanted) {
  if (!Has(Leaf(1, 0).c, 1u << 27)) return false;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return Has(low, wanted);
}

}  // namespace

// Leaf 1: FMA is bit 12 of ECX, AVX bit 28. Leaf 7: AVX2 is bit 5 of EBX. XCR0: the SSE and AVX registers.
const char* Avx2Unsupported() {
  const bool has = Has(Leaf(1, 0).c, 1u << 12 | 1u << 28) && Has(Leaf(7, 0).b, 1u << 5) && SavesRegisters(0x06);
  return has ? nullptr : "the processor has no AVX2 with FMA";
}

// Leaf 7, EBX: F is bit 16, DQ 17, BW 30, VL 31. XCR0: also the masks and both halves of the 512-bit registers.
const char* Avx512Unsupported() {
  const bool has = Has(Leaf(7, 0).b, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) && SavesRegisters(0xe6);
  return has && !Avx2Unsupported() ? nullptr : "the processor has no AVX-512 (F, DQ, BW, VL)";
}

// CPUID leaf 7: AVX512_VNNI is bit 11 of ECX in subleaf 0, AVX-VNNI bit 4 of EAX in subleaf 1.
const char* AvxVnniUnsupported() {
  const bool has = Has(Leaf(7, 1).a, 1u << 4);
  return has && !Avx2Unsupported() ? nullptr : "the processor has no AVX-VNNI";
}

const char* Avx512VnniUnsupported() {
  const bool has = Has(Leaf(7, 0).c, 1u << 11);
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
