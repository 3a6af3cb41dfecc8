#include "tests/operator/kube/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "fmt/format.h"

namespace grapevine::kube {
namespace {

size_t BodyLength(const std::string& head) {
  const std::string name = "Content-Length:";
  const size_t at = head.find(name);
  return at == std::string::npos ? 0 : std::stoul(head.substr(at + name.size()));
}

}  // namespace

std::string Peer::Read() {
  char piece[4096];
  while (true) {
    const size_t end = unread_.find("\r\n\r\n");
    if (end != std::string::npos) {
      const size_t length = end + 4 + BodyLength(unread_.substr(0, end + 2));
      if (unread_.size() >= length) {
        std::string request = unread_.substr(0, length);
        unread_.erase(0, length);
        return request;
      }
    }
    const ssize_t got = recv(fd_, piece, sizeof(piece), 0);
    if (got <= 0) return "";
    unread_.append(piece, static_cast<size_t>(got));
  }
}

void Peer::Send(const std::string& bytes) const {
  (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void Peer::Answer(int status, const std::string& body, const std::string& headers) const {
  Send(fmt::format(
      "HTTP/1.1 {} X\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{}", status,
      headers, body.size(), body));
}

void Peer::BeginChunks() const {
  Send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

void Peer::Chunk(const std::string& bytes) const {
  Send(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
}

void Peer::Reset() const {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  shutdown(fd_, SHUT_RDWR);
}

ScriptedServer::ScriptedServer(std::function<void(Peer&, int)> script)
    : script_(std::move(script)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  bind(listener_, reinterpret_cast<sockaddr*>(&address), length);
  listen(listener_, 64);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedServer::~ScriptedServer() {
  shutdown(listener_, SHUT_RDWR);
  {
    MutexLock lock(mutex_);
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  acceptor_.join();
  close(listener_);
}

std::string ScriptedServer::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

int ScriptedServer::connections() const {
  MutexLock lock(mutex_);
  return accepted_;
}

void ScriptedServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) break;
    int number = 0;
    {
      MutexLock lock(mutex_);
      open_.push_back(fd);
      number = accepted_++;
    }
    peers_.emplace_back([this, fd, number] {
      Peer peer(fd);
      script_(peer, number);
      MutexLock lock(mutex_);
      std::erase(open_, fd);
      close(fd);
    });
  }
  {
    MutexLock lock(mutex_);
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  peers_.clear();
}

}  // namespace grapevine::kube
