#include "tests/bench/raw_duplex.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "operator/base/check.h"

namespace grapevine::bench {
namespace {

constexpr size_t kCallBytes = 1 << 20;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void SetNoDelay(int socket) {
  const int on = 1;
  GRAPEVINE_CHECK(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
}

}  // namespace

RawDuplex::RawDuplex(int socket, size_t bytes, std::byte mark)
    : socket_(socket),
      outgoing_(bytes, mark),
      incoming_(bytes, std::byte{0}),
      receiver_([this] { Receive(); }) {}

RawDuplex::~RawDuplex() {
  shutdown(socket_, SHUT_RDWR);
  receiver_.join();
  close(socket_);
}

void RawDuplex::Run() {
  for (size_t at = 0; at < outgoing_.size();) {
    const size_t length = std::min(kCallBytes, outgoing_.size() - at);
    const ssize_t sent = send(socket_, outgoing_.data() + at, length, MSG_NOSIGNAL);
    GRAPEVINE_CHECK(sent > 0);
    at += static_cast<size_t>(sent);
  }
  const int before = rounds_run_++;
  rounds_received_.wait(before);
}

void RawDuplex::Receive() {
  while (true) {
    for (size_t at = 0; at < incoming_.size();) {
      const size_t length = std::min(kCallBytes, incoming_.size() - at);
      const ssize_t got = recv(socket_, incoming_.data() + at, length, 0);
      if (got <= 0) return;
      at += static_cast<size_t>(got);
    }
    rounds_received_.fetch_add(1);
    rounds_received_.notify_one();
  }
}

int ListenOnLoopback(int& port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  GRAPEVINE_CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  GRAPEVINE_CHECK(listen(listener, 1) == 0);
  GRAPEVINE_CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port = ntohs(address.sin_port);
  return listener;
}

int AcceptOne(int listener) {
  const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  GRAPEVINE_CHECK(socket >= 0);
  SetNoDelay(socket);
  return socket;
}

int ConnectToLoopback(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(port);
  GRAPEVINE_CHECK(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  SetNoDelay(connection);
  return connection;
}

}  // namespace grapevine::bench
