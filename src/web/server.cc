#include "web/server.h"

#include "web/loop.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utility>

namespace hr::web {
namespace {

int socket_option(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::make(int listening, Limits limits, const os::Clock& clock) {
  const std::string what = "descriptor " + std::to_string(listening);
  if (socket_option(listening, SO_ACCEPTCONN) != 1 || socket_option(listening, SO_TYPE) != SOCK_STREAM) {
    return fail(Errc::kInvalid, what + " is not a listening stream socket");
  }
  os::Fd own(::fcntl(listening, F_DUPFD_CLOEXEC, 3));
  const int flags = own.open() ? ::fcntl(own.get(), F_GETFL) : -1;
  if (flags < 0 || ::fcntl(own.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail(Errc::kIo, what + ": " + std::strerror(errno));
  }
  os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.open()) return fail(Errc::kIo, std::string("epoll: ") + std::strerror(errno));
  HR_ASSIGN(auto exchange, Exchange::make(limits, clock));
  auto loop = std::make_unique<Loop>(exchange, std::move(own), std::move(epoll));
  return std::unique_ptr<Server>(new Server(std::move(exchange), std::move(loop)));
}

Server::Server(std::shared_ptr<Exchange> exchange, std::unique_ptr<Loop> loop)
    : exchange_(std::move(exchange)), loop_(std::move(loop)) {}

Server::~Server() = default;

Status Server::run() { return loop_->run(); }

Nanos Server::silence() const { return exchange_->clock.boottime() - loop_->last_turn(); }

}  // namespace hr::web
