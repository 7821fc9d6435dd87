// What a process tells its service manager: sd_notify(3)'s datagrams, without libsystemd.
#pragma once
#include <cstddef>

namespace gapcam {

// Sends a state such as "READY=1\nSTATUS=..." to the socket that NOTIFY_SOCKET names: a path, or a name in the abstract
// namespace behind '@'. Never waits: a manager that does not read loses the datagram. Returns 0 or an errno.
int SendNotification(const char* socket_name, const char* state, size_t length);

}  // namespace gapcam
