// The libFuzzer entry points for plans. scripts/fuzz/plan.mjs builds them with clang and AddressSanitizer and UBSan.
#include "plan_property.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gapcam_fuzz::CheckPlanBytes(data, size);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  std::minstd_rand random(seed);
  if (size < 64 || random() % 4 == 0) return LLVMFuzzerMutate(data, size, most);
  gapcam_fuzz::ChangeWords(data, size, random);
  return size;
}
