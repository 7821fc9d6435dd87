// Runs a whole network in every generation's code path, emulated, and compares it with the scalar executor.
//
//   cuda_parity PLAN INPUTS [GENERATION]
//
// INPUTS: for each picture, the float32 values of every input of the plan, in order. Prints a JSON object for each
// generation (whose name contains GENERATION): the largest difference of an output over all pictures, as a share of its
// range; how often the label differs; how often the scalar executor gives that label too if only its inputs are rounded
// to half precision; and the lead of the right label in these cases, as a share of the range. Exit status 1 if
// something did not run.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "../../../cuda/half.h"
#include "../../../plan/executor.h"
#include "../machine.h"

namespace gapcam_test {
namespace {

using Bytes = std::vector<uint8_t>;

bool ReadFile(const char* path, Bytes* bytes) {
  FILE* file = std::fopen(path, "rb");
  if (!file) return false;
  uint8_t block[65536];
  for (size_t count; (count = std::fread(block, 1, sizeof(block), file)) > 0;)
    bytes->insert(bytes->end(), block, block + count);
  std::fclose(file);
  return true;
}

struct Difference {
  double share = 0;  // of an output's range
  int other_labels = 0;
  int rounded_labels = 0;  // of these, labels that the scalar executor also gives for rounded inputs
  double lead = 0;         // of the right label over the wrong one
};

size_t Greatest(const float* values, size_t count) {
  return static_cast<size_t>(std::max_element(values, values + count) - values);
}

// Compares all outputs. Returns whether the label is the same.
bool Compare(const gapcam::Executor& right, Machine& machine, Difference* difference) {
  bool is_same = true;
  const auto& outputs = machine.program().outputs;
  for (size_t port = 0; port < outputs.size(); ++port) {
    const auto* want = static_cast<const float*>(right.data(outputs[port].tensor));
    const float* got = machine.output(port);
    const size_t count = outputs[port].bytes / 4;
    double worst = 0;
    for (size_t i = 0; i < count; ++i)
      worst = std::isfinite(got[i]) ? std::max<double>(worst, std::fabs(got[i] - want[i])) : INFINITY;
    const double range = *std::max_element(want, want + count) - *std::min_element(want, want + count);
    difference->share = std::max(difference->share, worst == 0 ? 0 : worst / range);
    if (port > 0 || Greatest(got, count) == Greatest(want, count)) continue;
    is_same = false;
    ++difference->other_labels;
    difference->lead = std::max(difference->lead, (want[Greatest(want, count)] - want[Greatest(got, count)]) / range);
  }
  return is_same;
}

// Whether the scalar executor gives the machine's label if its inputs are rounded to half precision.
bool IsLabelOfRounded(gapcam::Executor& right, const gapcam::Plan& plan, Machine& machine) {
  for (const auto& port : plan.inputs) {
    auto* values = static_cast<float*>(right.data(port.tensor));
    for (uint32_t i = 0; i < plan.tensors[port.tensor].elements; ++i)
      values[i] = gapcam::cuda::HalfToFloat(gapcam::cuda::FloatToHalf(values[i]));
  }
  right.Run();
  const auto& port = machine.program().outputs[0];
  return Greatest(static_cast<const float*>(right.data(port.tensor)), port.bytes / 4) ==
         Greatest(machine.output(0), port.bytes / 4);
}

bool CheckGeneration(const NamedGeneration& g, gapcam::Executor& right, const gapcam::Plan& plan, const Bytes& inputs,
                     size_t picture_bytes) {
  gapcam::cuda::Program program;
  gapcam::Status status = gapcam::cuda::BuildProgram(plan, g.generation, &program);
  if (!status.ok()) return std::fprintf(stderr, "%s: %s\n", g.name, status.message()), false;
  Machine machine(static_cast<gapcam::cuda::Program&&>(program));
  Difference difference;
  const auto start = std::chrono::steady_clock::now();
  for (size_t at = 0; at + picture_bytes <= inputs.size(); at += picture_bytes) {
    const uint8_t* from = inputs.data() + at;
    for (size_t port = 0; port < plan.inputs.size(); ++port) {
      const auto& tensor = plan.tensors[plan.inputs[port].tensor];
      std::memcpy(machine.input(port), from, tensor.bytes);
      std::memcpy(right.data(plan.inputs[port].tensor), from, tensor.bytes);
      from += tensor.bytes;
    }
    right.Run();
    status = machine.Run();
    if (!status.ok()) return std::fprintf(stderr, "%s: %s\n", g.name, status.message()), false;
    const bool is_half = g.generation.precision == gapcam::cuda::Precision::kFloat16;
    if (!Compare(right, machine, &difference) && is_half && IsLabelOfRounded(right, plan, machine))
      ++difference.rounded_labels;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto& made = machine.program();
  std::printf(
      "{\"generation\":\"%s\",\"launches\":%zu,\"pictures\":%zu,\"share\":%.3g,\"otherLabels\":%d,\"roundedLabels\":%d,"
      "\"lead\":%.3g,\"weightBytes\":%zu,\"activationBytes\":%llu,\"seconds\":%.2f}\n",
      g.name, made.launches.size(), inputs.size() / picture_bytes, difference.share, difference.other_labels,
      difference.rounded_labels, difference.lead, made.weights.size(),
      static_cast<unsigned long long>(made.activation_bytes), seconds);
  std::fflush(stdout);
  return true;
}

int CheckAll(const char* plan_file, const char* inputs_file, const char* filter) {
  Bytes bytes, inputs;
  if (!ReadFile(plan_file, &bytes) || !ReadFile(inputs_file, &inputs))
    return std::fprintf(stderr, "cannot read %s or %s\n", plan_file, inputs_file), 2;
  const char* reason = "";
  const gapcam::Target* scalar = gapcam::ChooseTarget("scalar", &reason);
  std::unique_ptr<gapcam::Executor> right;
  gapcam::Plan plan;
  gapcam::Status status = gapcam::Executor::Open(bytes.data(), bytes.size(), *scalar, 1, &right);
  if (status.ok()) status = gapcam::ReadPlan(bytes.data(), bytes.size(), &plan);
  if (!status.ok()) return std::fprintf(stderr, "%s: %s\n", plan_file, status.message()), 1;
  size_t picture_bytes = 0;
  for (const auto& port : plan.inputs) picture_bytes += plan.tensors[port.tensor].bytes;
  if (inputs.empty() || inputs.size() % picture_bytes != 0)
    return std::fprintf(stderr, "%s is not whole pictures of %zu bytes\n", inputs_file, picture_bytes), 2;
  bool all = true;
  for (const NamedGeneration& g : kGenerations) {
    if (!filter || std::strstr(g.name, filter)) all = CheckGeneration(g, *right, plan, inputs, picture_bytes) && all;
  }
  return all ? 0 : 1;
}

}  // namespace
}  // namespace gapcam_test

int main(int count, char** arguments) {
  if (count < 3) return std::fprintf(stderr, "cuda_parity PLAN INPUTS [GENERATION]\n"), 2;
  return gapcam_test::CheckAll(arguments[1], arguments[2], count > 3 ? arguments[3] : nullptr);
}
