// The arithmetic of fitting a head, each call on a thread of its own (src/arithmetic.ts). A space is an object of mean:
// Float32Array, lengths: Uint32Array and weights: Float32Array.
//   joinVectors(raw: Float32Array[], space) → Promise<Float32Array>
//   byteProducts(rows: Float32Array[], columns: Float32Array[] | null, space) → Promise<Float64Array>; null: the rows
//   fitRidge({ products: Float64Array, states: Uint32Array, stateCount, groups: Uint32Array, lambdas: Float64Array })
//     → Promise<Float64Array>
//   weightedSums(raw: Float32Array[], space, alpha: Float64Array, states) → Promise<Float32Array>
// Arrays must not be written before the promise settles.
#include "../teach/ridge.h"
#include "../teach/vectors.h"

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

bool ReadSpace(const Napi::Value& value, VectorSpace* space) {
  if (!value.IsObject()) return false;
  const Napi::Object object = value.As<Napi::Object>();
  const void *mean, *lengths, *weights;
  const size_t count = LengthOf(object.Get("lengths"));
  if (count == 0 || !ReadArray(object.Get("lengths"), napi_uint32_array, count, &lengths) ||
      !ReadArray(object.Get("weights"), napi_float32_array, count, &weights))
    return false;
  const auto* each = static_cast<const uint32_t*>(lengths);
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    if (each[i] > kLongestPart) return false;
    sum += each[i];
  }
  if (sum == 0 || sum > (1u << 24) || !ReadArray(object.Get("mean"), napi_float32_array, sum, &mean)) return false;
  space->lengths.assign(each, each + count);
  space->length = static_cast<uint32_t>(sum);
  space->mean = static_cast<const float*>(mean);
  space->weights = static_cast<const float*>(weights);
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

// Posts a job that keeps its arguments alive.
Napi::Value Post(const Napi::CallbackInfo& info, Napi::TypedArray result, std::function<void()> work) {
  auto job = std::make_unique<FitJob>(info.Env(), result);
  for (size_t i = 0; i < info.Length(); ++i)
    if (info[i].IsObject()) job->Hold(info[i]);
  job->Do(std::move(work));
  return PostOwned(std::move(job));
}

Napi::Value Join(const Napi::CallbackInfo& info) {
  VectorSpace space;
  Vectors raw;
  if (info.Length() != 2 || !ReadSpace(info[1], &space) || !ReadVectors(info[0], space.length, &raw))
    return RefuseArguments(info.Env(), "Expected vectors and their space for joinVectors");
  auto result = Napi::Float32Array::New(info.Env(), raw.size() * space.length);
  return Post(info, result, [=, to = result.Data()] { JoinVectors(raw, space, to); });
}

Napi::Value Products(const Napi::CallbackInfo& info) {
  VectorSpace space;
  Vectors rows, columns;
  const bool are_usable = info.Length() == 3 && ReadSpace(info[2], &space) &&
                          ReadVectors(info[0], space.length, &rows) &&
                          (info[1].IsNull() || ReadVectors(info[1], space.length, &columns));
  if (!are_usable) return RefuseArguments(info.Env(), "Expected rows, columns and their space for byteProducts");
  const bool is_half = info[1].IsNull();
  auto result = Napi::Float64Array::New(info.Env(), rows.size() * (is_half ? rows.size() : columns.size()));
  return Post(info, result, [=, to = result.Data()] { ByteProducts(rows, is_half ? rows : columns, space, to); });
}

// Each sample has a number less than `count`.
bool ReadNumbers(const Napi::Value& value, size_t samples, uint32_t count, const uint32_t** numbers) {
  const void* data;
  if (!ReadArray(value, napi_uint32_array, samples, &data)) return false;
  *numbers = static_cast<const uint32_t*>(data);
  for (size_t i = 0; i < samples; ++i)
    if ((*numbers)[i] >= count) return false;
  return true;
}

Napi::Value Ridge(const Napi::CallbackInfo& info) {
  const char* refusal = "Expected products, states, stateCount, groups and lambdas for fitRidge";
  if (info.Length() != 1 || !info[0].IsObject()) return RefuseArguments(info.Env(), refusal);
  const Napi::Object object = info[0].As<Napi::Object>();
  RidgeProblem problem;
  const void *products, *lambdas;
  const uint32_t* groups;
  const size_t n = LengthOf(object.Get("states")), tried = LengthOf(object.Get("lambdas"));
  problem.samples = static_cast<uint32_t>(n);
  problem.state_count = object.Get("stateCount").ToNumber().Uint32Value();
  const bool are_usable = n > 0 && n <= (1u << 15) && problem.state_count <= n && tried > 0 &&
                          ReadArray(object.Get("products"), napi_float64_array, n * n, &products) &&
                          ReadNumbers(object.Get("states"), n, problem.state_count, &problem.states) &&
                          ReadNumbers(object.Get("groups"), n, problem.samples, &groups) &&
                          ReadArray(object.Get("lambdas"), napi_float64_array, tried, &lambdas);
  if (!are_usable) return RefuseArguments(info.Env(), refusal);
  problem.products = static_cast<const double*>(products);
  problem.groups.resize(n);
  for (uint32_t i = 0; i < n; ++i) problem.groups[groups[i]].push_back(i);
  problem.lambdas.assign(static_cast<const double*>(lambdas), static_cast<const double*>(lambdas) + tried);
  auto result = Napi::Float64Array::New(info.Env(), RidgeResultLength(problem));
  return Post(info, result, [=, to = result.Data()] { FitRidge(problem, to); });
}

Napi::Value Sums(const Napi::CallbackInfo& info) {
  VectorSpace space;
  Vectors raw;
  const void* alpha;
  const uint32_t states = info[3].ToNumber().Uint32Value();
  const bool are_usable = info.Length() == 4 && ReadSpace(info[1], &space) && states > 0 &&
                          ReadVectors(info[0], space.length, &raw) &&
                          ReadArray(info[2], napi_float64_array, raw.size() * states, &alpha);
  if (!are_usable)
    return RefuseArguments(info.Env(), "Expected vectors, their space, factors and states for weightedSums");
  auto result = Napi::Float32Array::New(info.Env(), size_t{states} * space.length);
  return Post(info, result,
              [=, to = result.Data()] { WeightedSums(raw, space, static_cast<const double*>(alpha), states, to); });
}

}  // namespace

void InitTeach(Napi::Env env, Napi::Object exports) {
  exports.Set("joinVectors", Napi::Function::New<&Join>(env));
  exports.Set("byteProducts", Napi::Function::New<&Products>(env));
  exports.Set("fitRidge", Napi::Function::New<&Ridge>(env));
  exports.Set("weightedSums", Napi::Function::New<&Sums>(env));
}

}  // namespace gapcam
