// Reads from cubins what the test driver checks: the generation, and that each kernel exists with the parameter size of
// kernels.def. This compares the host's structures with the device's.
#include <cstring>
#include <string>

#include "state.h"

namespace gapcam::cuda::fake {
namespace {

template <typename T>
T Read(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

struct Section {
  const uint8_t* bytes = nullptr;
  uint64_t size = 0;
};

// ELF64: section headers of 64 bytes with name, type, flags, address, offset, size. One section holds the names.
Section FindSection(const uint8_t* image, const std::string& name) {
  const uint8_t* table = image + Read<uint64_t>(image + 40);
  const uint16_t count = Read<uint16_t>(image + 60), names = Read<uint16_t>(image + 62);
  if (count == 0) return {};
  const uint8_t* text = image + Read<uint64_t>(table + uint64_t{names} * 64 + 24);
  for (uint16_t i = 0; i < count; ++i) {
    const uint8_t* section = table + uint64_t{i} * 64;
    if (name == reinterpret_cast<const char*>(text + Read<uint32_t>(section)))
      return {image + Read<uint64_t>(section + 24), Read<uint64_t>(section + 32)};
  }
  return {};
}

// The size of all parameters, from .nv.info: records of format, attribute and 16 bits. In format 4 the 16 bits are the
// size of the data that follows. Attribute 0x19 is the size of all parameters.
uint32_t ParameterBytes(const Section& info) {
  for (uint64_t at = 0; at + 4 <= info.size;) {
    const uint8_t format = info.bytes[at], attribute = info.bytes[at + 1];
    const uint16_t value = Read<uint16_t>(info.bytes + at + 2);
    if (attribute == 0x19 && format == 3) return value;
    at += 4 + (format == 4 ? value : 0);
  }
  return 0;
}

}  // namespace

// Machine 190 is CUDA. The flags hold the generation; since ABI version 8 it is in bits 8 to 15.
Result CheckImage(const uint8_t* image) {
  if (std::memcmp(image, "\177ELF", 4) != 0 || Read<uint16_t>(image + 18) != 190) return kInvalidImage;
  const uint32_t flags = Read<uint32_t>(image + 48);
  const int sm = static_cast<int>(image[8] >= 8 ? flags >> 8 & 0xff : flags & 0xff);
  return sm == TheState().sm ? 0 : kNoBinary;
}

bool HasKernel(const uint8_t* image, const KernelRow& row) {
  const bool is_stub = Read<uint16_t>(image + 60) == 0;
  if (is_stub) return true;
  if (!FindSection(image, std::string(".text.") + row.name).bytes) return false;
  const uint32_t bytes = ParameterBytes(FindSection(image, std::string(".nv.info.") + row.name));
  if (bytes != row.param_bytes)
    Violation("%s takes %u bytes of parameters, but kernels.def has %u", row.name, bytes, row.param_bytes);
  return true;
}

}  // namespace gapcam::cuda::fake
