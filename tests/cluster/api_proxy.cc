#include "tests/cluster/api_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <utility>

#include "fmt/format.h"
#include "operator/base/check.h"
#include "operator/base/clock.h"
#include "operator/kube/credentials.h"

namespace grapevine::cluster {
namespace {

constexpr int kPollMs = 10;
constexpr Duration kSilence = 60s;
constexpr Duration kWatchSilence = 900s;  // longer than any watch
constexpr size_t kMostRequest = 32 << 20;

int NewSocket(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

std::string Lower(std::string_view text) {
  std::string lower;
  for (const char c : text) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// Of the head of a request; empty when it is not there.
std::string HeaderOf(const std::string& head, std::string_view name) {
  const std::string wanted = fmt::format("\r\n{}:", name);
  const size_t at = Lower(head).find(wanted);
  if (at == std::string::npos) return "";
  const size_t begin = head.find_first_not_of(' ', at + wanted.size());
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::string_view HeadOf(const std::string& request) {
  return std::string_view(request).substr(0, request.find("\r\n\r\n") + 2);
}

// Head and body; empty once the client has hung up. `unread` keeps what came behind it.
std::string ReadRequest(int fd, std::string& unread) {
  char piece[16 << 10];
  while (unread.size() < kMostRequest) {
    const size_t end = unread.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::string length = HeaderOf(unread.substr(0, end + 2), "content-length");
      const size_t size = end + 4 + (length.empty() ? 0 : std::stoul(length));
      if (unread.size() >= size) {
        std::string request = unread.substr(0, size);
        unread.erase(0, size);
        return request;
      }
    }
    const ssize_t got = recv(fd, piece, sizeof(piece), 0);
    if (got <= 0) return "";
    unread.append(piece, static_cast<size_t>(got));
  }
  return "";
}

bool Write(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool WriteAnswer(int fd, int status, const std::string& headers, const std::string& body) {
  return Write(fd, fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/json\r\n{}"
                               "Content-Length: {}\r\n\r\n{}",
                               status, headers, body.size(), body));
}

bool WriteChunk(int fd, std::string_view bytes) {
  return Write(fd, fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
}

ApiCall CallOf(const std::string& request) {
  const size_t method = request.find(' ');
  const size_t target = request.find(' ', method + 1);
  ApiCall call{.method = request.substr(0, method),
               .path = request.substr(method + 1, target - method - 1)};
  if (const size_t query = call.path.find('?'); query != std::string::npos) {
    call.query = call.path.substr(query + 1);
    call.path.resize(query);
  }
  return call;
}

kube::HttpRequest RequestOf(const ApiCall& call, const std::string& request) {
  const std::string head(HeadOf(request));
  kube::HttpRequest result{.method = call.method,
                           .target = call.path + (call.query.empty() ? "" : "?" + call.query),
                           .body = request.substr(head.size() + 2),
                           .content_type = HeaderOf(head, "content-type")};
  for (const char* name : {"accept", "authorization", "user-agent"}) {
    if (std::string value = HeaderOf(head, name); !value.empty()) {
      result.headers.emplace_back(name, std::move(value));
    }
  }
  return result;
}

// What of the server's headers a client of ours reads.
std::string HeadersOf(const kube::HttpAnswer& answer) {
  const auto after = answer.headers.find("retry-after");
  return after == answer.headers.end() ? "" : fmt::format("Retry-After: {}\r\n", after->second);
}

}  // namespace

bool ApiCall::IsWatch() const { return !Parameter("watch").empty(); }

std::string ApiCall::Parameter(std::string_view name) const {
  for (size_t begin = 0; begin < query.size();) {
    const size_t end = std::min(query.find('&', begin), query.size());
    const std::string_view pair = std::string_view(query).substr(begin, end - begin);
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) == name && equals != std::string_view::npos) {
      return std::string(pair.substr(equals + 1));
    }
    begin = end + 1;
  }
  return "";
}

absl::StatusOr<std::unique_ptr<ApiProxy>> ApiProxy::Start(const kube::Access& access) {
  const RealClock clock;
  auto identity = kube::Credentials(access, &clock, {}).Get();
  if (!identity.ok()) return identity.status();
  // The constructor is private.
  std::unique_ptr<ApiProxy> proxy(new ApiProxy(access, identity->authority));
  if (absl::Status status = proxy->Bind(); !status.ok()) return status;
  proxy->acceptor_ = std::thread([raw = proxy.get()] { raw->Accept(); });
  return proxy;
}

ApiProxy::ApiProxy(const kube::Access& access, std::string authority)
    : calls_({.server = access.server}, {.authority = authority}, kSilence),
      watches_({.server = access.server}, {.authority = std::move(authority)}, kWatchSilence) {}

ApiProxy::~ApiProxy() {
  stopped_ = true;
  if (acceptor_.joinable()) acceptor_.join();
  Refuse(true);
  while (true) {
    std::list<Connection> ended;
    {
      MutexLock lock(mutex_);
      if (connections_.empty()) break;
      HangUpLocked();  // one may have begun a call meanwhile
      for (auto it = connections_.begin(); it != connections_.end();) {
        const auto next = std::next(it);
        if (it->ended) ended.splice(ended.end(), connections_, it);
        it = next;
      }
    }
    for (Connection& each : ended) each.thread.join();
    poll(nullptr, 0, kPollMs);
  }
  close(port_holder_);
}

absl::Status ApiProxy::Bind() {
  port_holder_ = NewSocket(0);
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  if (port_holder_ < 0 ||
      getsockname(port_holder_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return absl::InternalError("no free port");
  }
  port_ = ntohs(address.sin_port);
  return Listen();
}

absl::Status ApiProxy::Listen() {
  const int listener = NewSocket(port_);
  if (listener < 0 || listen(listener, 128) != 0) return absl::InternalError("cannot listen");
  MutexLock lock(mutex_);
  listener_ = listener;
  return absl::OkStatus();
}

std::string ApiProxy::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

void ApiProxy::OnCalls(CallScript script) {
  MutexLock lock(mutex_);
  call_script_ = std::move(script);
}

void ApiProxy::OnEvents(EventScript script) {
  MutexLock lock(mutex_);
  event_script_ = std::move(script);
}

void ApiProxy::OnLists(ListScript script) {
  MutexLock lock(mutex_);
  list_script_ = std::move(script);
}

void ApiProxy::HangUp() {
  MutexLock lock(mutex_);
  HangUpLocked();
}

void ApiProxy::HangUpLocked() {
  for (Connection& each : connections_) {
    if (each.fd >= 0) shutdown(each.fd, SHUT_RDWR);
    if (each.call != nullptr) each.call->Cancel();
  }
}

void ApiProxy::Refuse(bool refuse) {
  if (!refuse) {
    GRAPEVINE_CHECK(Listen().ok());
    return;
  }
  MutexLock lock(mutex_);
  if (listener_ >= 0) close(std::exchange(listener_, -1));
  HangUpLocked();
}

void ApiProxy::Accept() {
  while (!stopped_) {
    int listener = -1;
    {
      MutexLock lock(mutex_);
      listener = listener_;
      if (listener >= 0) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) {
          connections_.push_back({.fd = fd});
          Connection& connection = connections_.back();
          connection.thread = std::thread([this, &connection] { Serve(connection); });
          continue;
        }
      }
    }
    WatchClients();
    pollfd waiting{listener, POLLIN, 0};
    poll(&waiting, 1, kPollMs);
  }
}

void ApiProxy::WatchClients() {
  std::list<Connection> ended;
  {
    MutexLock lock(mutex_);
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto next = std::next(it);
      if (it->ended) {
        ended.splice(ended.end(), connections_, it);
      } else if (it->call != nullptr) {
        pollfd client{it->fd, POLLRDHUP, 0};
        if (poll(&client, 1, 0) > 0) it->call->Cancel();
      }
      it = next;
    }
  }
  for (Connection& each : ended) each.thread.join();
}

void ApiProxy::Serve(Connection& connection) {
  const int on = 1;
  setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  std::string unread;
  while (!stopped_) {
    const std::string request = ReadRequest(connection.fd, unread);
    if (request.empty() || !Answer(connection, request)) break;
  }
  MutexLock lock(mutex_);
  close(std::exchange(connection.fd, -1));
  connection.ended = true;
}

bool ApiProxy::Answer(Connection& connection, const std::string& request) {
  const ApiCall call = CallOf(request);
  CallScript script;
  {
    MutexLock lock(mutex_);
    script = call_script_;
  }
  const Fate fate = script ? script(call) : Fate{};
  switch (fate.kind) {
    case Fate::Kind::kPass:
      return Forward(connection, call, request, /*mute=*/false);
    case Fate::Kind::kAnswer:
      return WriteAnswer(connection.fd, fate.status, fate.headers, fate.body);
    case Fate::Kind::kDoAndAnswer:
      return Forward(connection, call, request, /*mute=*/true) &&
             WriteAnswer(connection.fd, fate.status, fate.headers, fate.body);
    case Fate::Kind::kDoAndHangUp:
      Forward(connection, call, request, /*mute=*/true);
      return false;
    case Fate::Kind::kHangUp:
      return false;
  }
  return false;
}

bool ApiProxy::Forward(Connection& connection, const ApiCall& call, const std::string& request,
                       bool mute) {
  const bool watch = call.IsWatch();
  std::string body;  // of a watch: the event under way
  bool begun = false;
  const kube::OnBody on_body = [&](const kube::HttpAnswer& head,
                                   std::string_view bytes) -> absl::Status {
    body += bytes;
    if (!watch || head.status != 200) return absl::OkStatus();
    if (!std::exchange(begun, true) &&
        !Write(connection.fd,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
               "Transfer-Encoding: chunked\r\n\r\n")) {
      return absl::CancelledError("the client hung up");
    }
    for (size_t end; (end = body.find('\n')) != std::string::npos; body.erase(0, end + 1)) {
      const Shown shown = Show(call, std::string_view(body).substr(0, end + 1));
      const bool sent = shown.bytes.empty() || WriteChunk(connection.fd, shown.bytes);
      if (!sent || shown.hang_up) return absl::CancelledError("it is over");
    }
    return absl::OkStatus();
  };
  const auto answer = Send(connection, RequestOf(call, request), watch, on_body);
  if (!answer.ok()) return false;
  if (mute) return true;
  if (begun) return Write(connection.fd, "0\r\n\r\n");
  ListScript script;
  {
    MutexLock lock(mutex_);
    script = list_script_;
  }
  const bool list =
      call.method == "GET" && answer->status == 200 && body.find("List\"") != std::string::npos;
  if (script && list) body = script(call, std::move(body));
  return WriteAnswer(connection.fd, answer->status, HeadersOf(*answer), body);
}

absl::StatusOr<kube::HttpAnswer> ApiProxy::Send(Connection& connection,
                                                const kube::HttpRequest& request, bool watch,
                                                const kube::OnBody& on_body) {
  kube::Cancellation cancellation;
  {
    MutexLock lock(mutex_);
    connection.call = &cancellation;
  }
  auto answer = (watch ? watches_ : calls_).Send(request, on_body, &cancellation);
  MutexLock lock(mutex_);
  connection.call = nullptr;
  return answer;
}

Shown ApiProxy::Show(const ApiCall& call, std::string_view event) {
  EventScript script;
  {
    MutexLock lock(mutex_);
    script = event_script_;
  }
  return script ? script(call, event) : Shown{.bytes = std::string(event)};
}

}  // namespace grapevine::cluster
