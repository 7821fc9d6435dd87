// A session's inputs and outputs in JavaScript: typed arrays over the session's own memory.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "../plan/plan.h"

namespace gapcam {

// [{ name, type, layout, shape, data }]. `data` says where a port's values lie; `keep` lives as long as any of the arrays.
Napi::Array PortsOf(Napi::Env env, const Plan& plan, const std::vector<PlanPort>& ports,
                    const std::function<void*(uint32_t port)>& data, const std::shared_ptr<void>& keep);

}  // namespace gapcam
