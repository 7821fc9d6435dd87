// The inputs and outputs of a session in JavaScript: typed arrays over the session's own memory.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "../plan/plan.h"

namespace gapcam {

// Returns [{ name, type, layout, shape, data }]. data(i) is the address of port i's values. `keep` stays alive as long
// as any of the arrays.
Napi::Array PortsOf(Napi::Env env, const Plan& plan, const std::vector<PlanPort>& ports,
                    const std::function<void*(uint32_t port)>& data, const std::shared_ptr<void>& keep);

}  // namespace gapcam
