#include "machine.h"

#include <cstring>

namespace gapcam_test {

using namespace gapcam::cuda;

const std::vector<NamedGeneration> kGenerations = {
    {"sm_87 f32", {87, Precision::kFloat32, 8}},    {"sm_90 f32", {90, Precision::kFloat32, 132}},
    {"sm_72 f16", {72, Precision::kFloat16, 6}},    {"sm_87 f16", {87, Precision::kFloat16, 8}},
    {"sm_110 f16", {110, Precision::kFloat16, 20}}, {"sm_90 f16", {90, Precision::kFloat16, 132}},
};

Machine::Machine(Program program) : program_(static_cast<Program&&>(program)) {
  const uint64_t sizes[kMemoryCount] = {program_.activation_bytes, program_.weights.size(), program_.input_bytes,
                                        program_.output_bytes};
  for (uint32_t memory = 0; memory < kMemoryCount; ++memory) {
    blocks_.emplace_back(sizes[memory] + 256, 0xff);
    bases_[memory] = (reinterpret_cast<uint64_t>(blocks_.back().data()) + 255) / 256 * 256;
    if (memory == kWeights && sizes[memory] > 0) std::memcpy(base(kWeights), program_.weights.data(), sizes[memory]);
    emulator::AddRegion(base(static_cast<Memory>(memory)), sizes[memory]);
  }
}

Machine::~Machine() {
  for (uint32_t memory = 0; memory < kMemoryCount; ++memory) emulator::RemoveRegion(base(static_cast<Memory>(memory)));
}

gapcam::Status Machine::Run() {
  std::memset(base(kActivations), 0xff, program_.activation_bytes);
  std::memset(base(kOutput), 0xff, program_.output_bytes);
  for (const Launch& launch : program_.launches) {
    std::vector<uint8_t> params = launch.params;
    Bind(launch, bases_, params.data());
    const gapcam::Status status = emulator::RunLaunch(launch.kernel, launch.grid, launch.block, params.data(),
                                                      static_cast<uint32_t>(params.size()));
    if (!status.ok()) return status;
  }
  return gapcam::Status::Ok();
}

bool IsConverted(const Program& program, size_t port) {
  for (const Launch& launch : program.launches) {
    if (launch.kernel != KernelId::give_output_f32 && launch.kernel != KernelId::give_output_f16) continue;
    ConvertParams p;
    std::memcpy(&p, launch.params.data(), sizeof(p));
    if (p.y.address == program.outputs[port].offset) return true;
  }
  return false;
}

}  // namespace gapcam_test
