// Makes the typed arrays over a session's tensors; see ports.h.
#include "ports.h"

namespace gapcam {
namespace {

constexpr const char* kLayoutNames[] = {"none", "nchw", "nhwc"};

Napi::TypedArray ArrayOver(Napi::Env env, const PlanTensor& tensor, void* data, const std::shared_ptr<void>& keep) {
  auto* kept = new std::shared_ptr<void>(keep);
  Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(
      env, data, tensor.bytes, [](Napi::Env, void*, std::shared_ptr<void>* held) { delete held; }, kept);
  switch (tensor.type) {
    case PlanType::kFloat32: return Napi::Float32Array::New(env, tensor.elements, memory, 0);
    case PlanType::kFloat16: return Napi::Uint16Array::New(env, tensor.elements, memory, 0);
    case PlanType::kInt8: return Napi::Int8Array::New(env, tensor.elements, memory, 0);
    case PlanType::kUint8: return Napi::Uint8Array::New(env, tensor.elements, memory, 0);
    case PlanType::kInt32: return Napi::Int32Array::New(env, tensor.elements, memory, 0);
  }
  return Napi::TypedArray();
}

}  // namespace

Napi::Array PortsOf(Napi::Env env, const Plan& plan, const std::vector<PlanPort>& ports,
                    const std::function<void*(uint32_t port)>& data, const std::shared_ptr<void>& keep) {
  Napi::Array array = Napi::Array::New(env, ports.size());
  for (uint32_t i = 0; i < ports.size(); ++i) {
    const PlanTensor& tensor = plan.tensors[ports[i].tensor];
    Napi::Array shape = Napi::Array::New(env, tensor.rank);
    for (uint32_t axis = 0; axis < tensor.rank; ++axis) shape.Set(axis, tensor.dims[axis]);
    Napi::Object port = Napi::Object::New(env);
    port.Set("name", ports[i].name);
    port.Set("type", kPlanTypeNames[static_cast<int>(tensor.type)]);
    port.Set("layout", kLayoutNames[static_cast<int>(ports[i].layout)]);
    port.Set("shape", shape);
    port.Set("scale", tensor.scale);
    port.Set("zeroPoint", tensor.zero_point);
    port.Set("data", ArrayOver(env, tensor, data(i), keep));
    array.Set(i, port);
  }
  return array;
}

}  // namespace gapcam
