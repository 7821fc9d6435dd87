// Sends one datagram; see notify.h.
#include "notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace gapcam {

int SendNotification(const char* socket_name, const char* state, size_t length) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t name_length = std::strlen(socket_name);
  // sd_notify(3): an absolute path or '@'. Other forms (vsock:) belong to virtual machines and are not supported.
  if (name_length < 2 || (socket_name[0] != '/' && socket_name[0] != '@')) return EAFNOSUPPORT;
  if (name_length >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, socket_name, name_length);
  const bool is_abstract = socket_name[0] == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  // An abstract name consists of all bytes that the length covers. A path ends with its NUL.
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_length + (is_abstract ? 0 : 1));
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  const ssize_t sent =
      sendto(descriptor, state, length, MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), size);
  const int error = sent < 0 ? errno : 0;
  close(descriptor);
  return error;
}

}  // namespace gapcam
