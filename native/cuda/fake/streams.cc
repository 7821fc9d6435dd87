// Streams, launches and graphs. A launch waits in its stream until the program synchronizes. A graph is a list of
// launches.
#include <cstring>

#include "calls.h"

namespace gapcam::cuda::fake {

bool IsForbiddenNow() {
  bool is_capturing = false;
  for (StreamObject* stream : TheState().streams) {
    if (!stream->capture) continue;
    is_capturing = stream->is_invalidated = true;
  }
  return is_capturing;
}

// References to every symbol of driver.def, so that a missing definition is an error of the linker.
extern void* const kEveryCall[];
void* const kEveryCall[] = {
#define GAPCAM_CUDA_CALL(name, symbol, parameters) reinterpret_cast<void*>(&api::name),
#include "../driver.def"
#undef GAPCAM_CUDA_CALL
};

}  // namespace gapcam::cuda::fake

namespace gapcam::cuda::fake::api {
namespace {

StreamObject* ToObject(Stream stream, const char* call) {
  auto* object = reinterpret_cast<StreamObject*>(stream);
  return IsLive(TheState().streams, object, call) ? object : nullptr;
}

}  // namespace

Result StreamCreate(Stream* stream, unsigned) {
  CALL("cuStreamCreate", true);
  auto* made = new StreamObject();
  TheState().streams.insert(made);
  *stream = reinterpret_cast<Stream>(made);
  return 0;
}

Result StreamDestroy(Stream stream) {
  CALL("cuStreamDestroy_v2", true);
  StreamObject* object = ToObject(stream, "cuStreamDestroy");
  if (!object) return kInvalidHandle;
  if (!object->queue.empty()) Violation("cuStreamDestroy while work waits in the stream");
  TheState().streams.erase(object);
  delete object;
  return 0;
}

Result StreamSynchronize(Stream stream) {
  CALL("cuStreamSynchronize", true);
  StreamObject* object = ToObject(stream, "cuStreamSynchronize");
  if (!object) return kInvalidHandle;
  FORBIDDEN_IN_CAPTURE();
  return Drain(object);
}

Result StreamBeginCapture(Stream stream, int mode) {
  CALL("cuStreamBeginCapture_v2", true);
  StreamObject* object = ToObject(stream, "cuStreamBeginCapture");
  if (!object || mode < 0 || mode > 2) return kInvalidValue;
  if (object->capture) return kCaptureUnsupported;
  object->capture = std::make_unique<GraphObject>();
  object->is_invalidated = false;
  return 0;
}

Result StreamEndCapture(Stream stream, Graph* graph) {
  CALL("cuStreamEndCapture", true);
  StreamObject* object = ToObject(stream, "cuStreamEndCapture");
  if (!object || !object->capture) return kInvalidValue;
  std::unique_ptr<GraphObject> recorded = std::move(object->capture);
  *graph = nullptr;
  if (object->is_invalidated) return kCaptureInvalidated;
  TheState().graphs.insert(recorded.get());
  *graph = reinterpret_cast<Graph>(recorded.release());
  return 0;
}

Result LaunchKernel(Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                    unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream stream, void** params,
                    void** extra) {
  CALL("cuLaunchKernel", true);
  auto* object = reinterpret_cast<FunctionObject*>(function);
  StreamObject* to = ToObject(stream, "cuLaunchKernel");
  if (!to || !IsLive(TheState().functions, object, "cuLaunchKernel")) return kInvalidHandle;
  // No kernel has dynamic shared memory.
  if (!params || !params[0] || extra || shared_bytes != 0) return kInvalidValue;
  Work work = {object->kernel,
               {grid_x, grid_y, grid_z},
               {block_x, block_y, block_z},
               std::vector<uint8_t>(kKernels[static_cast<uint32_t>(object->kernel)].param_bytes)};
  // A driver copies the arguments during the call, also in a capture.
  std::memcpy(work.params.data(), params[0], work.params.size());
  const Result result = CheckLaunch(*object, work);
  if (result != 0) return result;
  if (to->capture)
    to->capture->work.push_back(std::move(work));
  else
    to->queue.push_back({{std::move(work)}, nullptr});
  return 0;
}

Result GraphInstantiate(GraphExec* exec, Graph graph, unsigned long long) {
  CALL("cuGraphInstantiateWithFlags", true);
  auto* object = reinterpret_cast<GraphObject*>(graph);
  if (!IsLive(TheState().graphs, object, "cuGraphInstantiate")) return kInvalidHandle;
  auto* made = new GraphObject(*object);
  TheState().execs.insert(made);
  *exec = reinterpret_cast<GraphExec>(made);
  return 0;
}

Result GraphDestroy(Graph graph) {
  CALL("cuGraphDestroy", true);
  auto* object = reinterpret_cast<GraphObject*>(graph);
  if (!IsLive(TheState().graphs, object, "cuGraphDestroy")) return kInvalidHandle;
  TheState().graphs.erase(object);
  delete object;
  return 0;
}

Result GraphLaunch(GraphExec exec, Stream stream) {
  CALL("cuGraphLaunch", true);
  auto* object = reinterpret_cast<GraphObject*>(exec);
  StreamObject* to = ToObject(stream, "cuGraphLaunch");
  if (!to || !IsLive(TheState().execs, object, "cuGraphLaunch")) return kInvalidHandle;
  ++TheState().graph_launches;
  to->queue.push_back({object->work, object});
  return 0;
}

Result GraphExecDestroy(GraphExec exec) {
  CALL("cuGraphExecDestroy", true);
  auto* object = reinterpret_cast<GraphObject*>(exec);
  if (!IsLive(TheState().execs, object, "cuGraphExecDestroy")) return kInvalidHandle;
  if (IsBusy()) Violation("cuGraphExecDestroy while work waits in a stream");
  TheState().execs.erase(object);
  delete object;
  return 0;
}

}  // namespace gapcam::cuda::fake::api
