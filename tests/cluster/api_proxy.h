#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "operator/base/mutex.h"
#include "operator/kube/https.h"
#include "operator/kube/kubeconfig.h"

namespace grapevine::cluster {

// One call that a client makes.
struct ApiCall {
  std::string method;
  std::string path;   // without the query
  std::string query;  // after the question mark; empty for none

  bool IsWatch() const;
  bool IsWrite() const { return method != "GET"; }
  // Of a query; empty when it is not there.
  std::string Parameter(std::string_view name) const;
};

// What becomes of a call.
struct Fate {
  enum class Kind {
    kPass,         // to the server, and its answer back
    kAnswer,       // answered here; the server never hears of it
    kDoAndAnswer,  // the server does it, but the client gets this answer
    kHangUp,       // without a word; the server never hears of it
    kDoAndHangUp,  // the server does it, but the client never learns
  };
  Kind kind = Kind::kPass;
  int status = 500;     // of an answer
  std::string headers;  // more of them, each ending in \r\n
  std::string body = R"({"kind":"Status","apiVersion":"v1","status":"Failure"})";
};

// What a client gets to see in place of one event of a watch.
struct Shown {
  std::string bytes;     // empty: nothing
  bool hang_up = false;  // afterwards
};

// Stands between one client and an API server and does wrong what it is told to: plain HTTP on a
// free port of 127.0.0.1, TLS to the server. It shows the server the client's own bearer token and
// forwards every call as it comes; the two scripts decide otherwise. A client that hangs up ends
// its call at the server. Thread-safe.
class ApiProxy {
 public:
  // Called on the threads of connections, several at once.
  using CallScript = std::function<Fate(const ApiCall&)>;
  // `event`: one line of JSON, with its newline.
  using EventScript = std::function<Shown(const ApiCall&, std::string_view event)>;
  // `body`: of a 2xx answer to a list, whole; it is called before the client gets it.
  using ListScript = std::function<std::string(const ApiCall&, std::string body)>;

  // `access`: of the server; whoever it belongs to, nothing of that is used but the authority.
  static absl::StatusOr<std::unique_ptr<ApiProxy>> Start(const kube::Access& access);
  ~ApiProxy();
  ApiProxy(const ApiProxy&) = delete;
  ApiProxy& operator=(const ApiProxy&) = delete;

  std::string url() const;

  // Each is in force from the next call or event on; an empty one lets all pass.
  void OnCalls(CallScript script);
  void OnEvents(EventScript script);
  void OnLists(ListScript script);

  // Ends all connections, without a word.
  void HangUp();
  // Connections are refused, and those that there are end, until it is called with false.
  void Refuse(bool refuse);

 private:
  struct Connection {
    int fd = -1;
    kube::Cancellation* call = nullptr;  // to the server, while there is one
    bool ended = false;                  // its thread has only to be joined
    std::thread thread;
  };

  ApiProxy(const kube::Access& access, std::string authority);
  absl::Status Bind();
  absl::Status Listen();
  void Accept();
  void Begin(int fd);
  // Clients that have hung up: what they asked for is of no more use.
  void WatchClients();
  void HangUpLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Serve(Connection& connection);
  // False when the connection is to end.
  bool Answer(Connection& connection, const std::string& request);
  bool Forward(Connection& connection, const ApiCall& call, const std::string& request, bool mute);
  absl::StatusOr<kube::HttpAnswer> Send(Connection& connection, const kube::HttpRequest& request,
                                        bool watch, const kube::OnBody& on_body);
  Shown Show(const ApiCall& call, std::string_view event);

  kube::Https calls_;
  kube::Https watches_;
  int port_ = 0;
  int port_holder_ = -1;  // bound and never listening: the port stays ours while it is refused

  Mutex mutex_;
  CallScript call_script_ ABSL_GUARDED_BY(mutex_);
  EventScript event_script_ ABSL_GUARDED_BY(mutex_);
  ListScript list_script_ ABSL_GUARDED_BY(mutex_);
  int listener_ ABSL_GUARDED_BY(mutex_) = -1;  // -1 while it refuses
  std::list<Connection> connections_ ABSL_GUARDED_BY(mutex_);

  std::atomic<bool> stopped_ = false;
  std::thread acceptor_;
};

}  // namespace grapevine::cluster
