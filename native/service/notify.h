// What a process tells its service manager: the datagrams of sd_notify(3), without libsystemd.
#pragma once
#include <cstddef>

namespace gapcam {

// Sends a state such as "READY=1\nSTATUS=..." to the socket that NOTIFY_SOCKET names: a path, or '@' and a name in the
// abstract namespace. Never waits: if the manager does not read, the datagram is lost. Returns 0 or an errno.
int SendNotification(const char* socket_name, const char* state, size_t length);

}  // namespace gapcam
