#include "tests/worker/control/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fmt/format.h"
#include "operator/base/check.h"
#include "operator/base/clock.h"

namespace grapevine::control {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Until either end is closed; then both are.
void Pump(int from, int to) {
  char piece[16384];
  for (ssize_t got; (got = recv(from, piece, sizeof(piece), 0)) > 0;) {
    for (ssize_t sent = 0, part; sent < got; sent += part) {
      part = send(to, piece + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
      if (part <= 0) break;
    }
  }
  shutdown(from, SHUT_RDWR);
  shutdown(to, SHUT_RDWR);
}

}  // namespace

struct Relay::Connection {
  Connection(int near, int far)
      : near(near), far(far), out([=] { Pump(near, far); }), back([=] { Pump(far, near); }) {}
  ~Connection() {
    Break();
    out.join();
    back.join();
    close(near);
    close(far);
  }
  void Break() {
    shutdown(near, SHUT_RDWR);
    shutdown(far, SHUT_RDWR);
  }

  const int near;
  const int far;
  std::thread out;
  std::thread back;
};

Relay::Relay(int port) : port_(port), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = Loopback(0);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  GRAPEVINE_CHECK(bind(listener_, any, size) == 0 && listen(listener_, 16) == 0);
  GRAPEVINE_CHECK(getsockname(listener_, any, &size) == 0);
  own_port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Accept(); });
}

Relay::~Relay() {
  shutdown(listener_, SHUT_RDWR);  // ends accept
  thread_.join();
  close(listener_);
}

std::string Relay::address() const { return fmt::format("127.0.0.1:{}", own_port_); }

void Relay::Cut() {
  MutexLock lock(mutex_);
  CutLocked();
}

void Relay::CutLocked() {
  for (const auto& connection : connections_) connection->Break();
}

void Relay::Close() {
  MutexLock lock(mutex_);
  open_ = false;
  CutLocked();
}

void Relay::Open() {
  MutexLock lock(mutex_);
  open_ = true;
}

bool Relay::AwaitTurnedAway(int times) {
  const Time deadline = RealClock().Now() + 60s;
  MutexLock lock(mutex_);
  while (turned_away_ < times) {
    if (RealClock().Now() >= deadline) return false;
    changed_.WaitUntil(mutex_, deadline);
  }
  return true;
}

void Relay::Accept() {
  for (int near; (near = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
    MutexLock lock(mutex_);
    if (!open_) {
      close(near);
      ++turned_away_;
      changed_.NotifyAll();
      continue;
    }
    const sockaddr_in address = Loopback(port_);
    const int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    GRAPEVINE_CHECK(connect(far, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
                    0);
    connections_.push_back(std::make_unique<Connection>(near, far));
  }
}

}  // namespace grapevine::control
