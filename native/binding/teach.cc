// The arithmetic of fitting a head, each call on a thread of its own (src/teach/arithmetic.ts):
//   joinVectors(raw: Float32Array[], mean, lengths: Uint32Array, weights: Float32Array) → Promise<Float32Array>
//   byteProducts(rows: Float32Array[], columns: Float32Array[] | null, lengths) → Promise<Float64Array>; null: the rows
//   inverseRoot(matrix: Float64Array, n, added) → Promise<Float64Array>
//   weightedSums(vectors: Float32Array[], alpha: Float32Array, states) → Promise<Float32Array>
// Arrays must not be written before the promise settles.
#include "../teach/fit.h"

#include <functional>

#include "errors.h"
#include "init.h"
#include "thread.h"

namespace gapcam {
namespace {

// Runs a function on a thread and resolves with an array that it filled.
class FitJob final : public Job {
 public:
  FitJob(Napi::Env env, Napi::TypedArray result)
      : result_(Napi::Persistent(result.As<Napi::Object>())),
        thread_(std::make_unique<WorkerThread>(env, "gapcam teach")) {}

  WorkerThread* thread() { return thread_.get(); }
  // Keeps a value alive until the end.
  void Hold(const Napi::Value& value) { held_.push_back(Napi::Persistent(value.As<Napi::Object>())); }
  void Do(std::function<void()> work) { work_ = std::move(work); }

  Status Work() override {
    work_();
    return Status::Ok();
  }
  Napi::Value Result(Napi::Env) override { return result_.Value(); }

 private:
  std::function<void()> work_;
  Napi::ObjectReference result_;
  std::vector<Napi::ObjectReference> held_;
  std::unique_ptr<WorkerThread> thread_;
};

bool ReadArray(const Napi::Value& value, napi_typedarray_type type, size_t length, const void** data) {
  if (!value.IsTypedArray()) return false;
  napi_typedarray_type found;
  size_t count = 0;
  void* memory = nullptr;
  napi_get_typedarray_info(value.Env(), value, &found, &count, &memory, nullptr, nullptr);
  *data = memory;
  return found == type && count == length;
}

size_t LengthOf(const Napi::Value& value) {
  return value.IsTypedArray() ? value.As<Napi::TypedArray>().ElementLength() : 0;
}

bool ReadParts(const Napi::Value& value, VectorParts* parts) {
  const void* data;
  const size_t count = LengthOf(value);
  if (count == 0 || !ReadArray(value, napi_uint32_array, count, &data)) return false;
  const auto* lengths = static_cast<const uint32_t*>(data);
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    if (lengths[i] > kLongestPart) return false;
    sum += lengths[i];
  }
  if (sum == 0 || sum > (1u << 24)) return false;
  parts->lengths.assign(lengths, lengths + count);
  parts->length = static_cast<uint32_t>(sum);
  return true;
}

// Vectors of one length.
bool ReadVectors(const Napi::Value& value, size_t length, Vectors* vectors) {
  if (!value.IsArray() || length == 0) return false;
  const Napi::Array array = value.As<Napi::Array>();
  vectors->resize(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const void* data;
    if (!ReadArray(array.Get(i), napi_float32_array, length, &data)) return false;
    (*vectors)[i] = static_cast<const float*>(data);
  }
  return !vectors->empty();
}

Napi::Value Join(const Napi::CallbackInfo& info) {
  VectorParts parts;
  Vectors raw;
  const void *mean, *weights;
  const bool are_usable = info.Length() == 4 && ReadParts(info[2], &parts) &&
                          ReadVectors(info[0], parts.length, &raw) &&
                          ReadArray(info[1], napi_float32_array, parts.length, &mean) &&
                          ReadArray(info[3], napi_float32_array, parts.lengths.size(), &weights);
  if (!are_usable)
    return RefuseArguments(info.Env(), "Expected vectors, their mean, lengths and weights of parts for joinVectors");
  auto result = Napi::Float32Array::New(info.Env(), raw.size() * parts.length);
  auto job = std::make_unique<FitJob>(info.Env(), result);
  for (int i = 0; i < 4; ++i) job->Hold(info[i]);
  job->Do([=, to = result.Data(), raw = std::move(raw)] {
    JoinVectors(raw, static_cast<const float*>(mean), parts, static_cast<const float*>(weights), to);
  });
  return PostOwned(std::move(job));
}

Napi::Value Products(const Napi::CallbackInfo& info) {
  VectorParts parts;
  Vectors rows, columns;
  const bool are_usable = info.Length() == 3 && ReadParts(info[2], &parts) &&
                          ReadVectors(info[0], parts.length, &rows) &&
                          (info[1].IsNull() || ReadVectors(info[1], parts.length, &columns));
  if (!are_usable) return RefuseArguments(info.Env(), "Expected rows, columns and lengths of parts for byteProducts");
  const bool is_half = info[1].IsNull();
  auto result = Napi::Float64Array::New(info.Env(), rows.size() * (is_half ? rows.size() : columns.size()));
  auto job = std::make_unique<FitJob>(info.Env(), result);
  job->Hold(info[0]);
  if (!is_half) job->Hold(info[1]);
  job->Do([=, to = result.Data(), rows = std::move(rows), columns = std::move(columns)] {
    ByteProducts(rows, is_half ? rows : columns, parts, to);
  });
  return PostOwned(std::move(job));
}

Napi::Value Root(const Napi::CallbackInfo& info) {
  const uint32_t n = info[1].ToNumber().Uint32Value();
  const void* matrix;
  if (n == 0 || n > (1u << 15) || !ReadArray(info[0], napi_float64_array, size_t{n} * n, &matrix))
    return RefuseArguments(info.Env(), "Expected a square matrix, its size and a number for inverseRoot");
  const double added = info[2].ToNumber().DoubleValue();
  auto result = Napi::Float64Array::New(info.Env(), size_t{n} * n);
  auto job = std::make_unique<FitJob>(info.Env(), result);
  job->Hold(info[0]);
  job->Do([=, to = result.Data()] { InverseRoot(static_cast<const double*>(matrix), n, added, to); });
  return PostOwned(std::move(job));
}

Napi::Value Sums(const Napi::CallbackInfo& info) {
  const uint32_t states = info[2].ToNumber().Uint32Value();
  const size_t length = info[0].IsArray() ? LengthOf(info[0].As<Napi::Array>().Get(uint32_t{0})) : 0;
  Vectors vectors;
  const void* alpha;
  if (states == 0 || length > (1u << 24) || !ReadVectors(info[0], length, &vectors) ||
      !ReadArray(info[1], napi_float32_array, vectors.size() * states, &alpha))
    return RefuseArguments(info.Env(), "Expected vectors, a factor for each state and their number for weightedSums");
  auto result = Napi::Float32Array::New(info.Env(), states * length);
  auto job = std::make_unique<FitJob>(info.Env(), result);
  for (int i = 0; i < 2; ++i) job->Hold(info[i]);
  job->Do([=, to = result.Data(), vectors = std::move(vectors)] {
    WeightedSums(vectors, static_cast<const float*>(alpha), states, static_cast<uint32_t>(length), to);
  });
  return PostOwned(std::move(job));
}

}  // namespace

void InitTeach(Napi::Env env, Napi::Object exports) {
  exports.Set("joinVectors", Napi::Function::New<&Join>(env));
  exports.Set("byteProducts", Napi::Function::New<&Products>(env));
  exports.Set("inverseRoot", Napi::Function::New<&Root>(env));
  exports.Set("weightedSums", Napi::Function::New<&Sums>(env));
}

}  // namespace gapcam
