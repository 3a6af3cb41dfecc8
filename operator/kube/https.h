#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operator/base/clock.h"
#include "operator/kube/credentials.h"
#include "operator/kube/kubeconfig.h"

namespace grapevine::kube {

struct HttpRequest {
  std::string method;  // GET, POST...
  std::string target;  // path and query, encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string content_type;  // of the body
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
};

// Gets the body of an answer as it comes, on the thread that called. An error of its ends the call.
using OnBody = std::function<absl::Status(const HttpAnswer& head, std::string_view bytes)>;

// Ends a call from another thread. Thread-safe.
class Cancellation {
 public:
  Cancellation();
  ~Cancellation();
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  void Cancel();

 private:
  friend class Https;
  struct Source;
  const std::unique_ptr<Source> source_;
};

// HTTP/1.1 over TLS to one server, connections kept and reused, by cpprestsdk, which is seen in the
// .cc alone. What it does of itself and callers must know: it sends a request again when the server
// closes a connection that had been idle before an answer came, so a write must be one that may be
// done twice. Thread-safe; a call blocks its thread, never one of the library's.
class Https {
 public:
  // `access` says what is not in the identity. `silence`: a call ends with DeadlineExceeded when no
  // byte has come for so long.
  Https(const Access& access, const Identity& identity, Duration silence);
  ~Https();

  // An error of `on_body` is returned. Cancelled after `cancellation`; Unavailable when the server
  // cannot be reached or hangs up; FailedPrecondition when one of the two does not trust the other.
  absl::StatusOr<HttpAnswer> Send(const HttpRequest& request, const OnBody& on_body,
                                  Cancellation* cancellation = nullptr);

 private:
  struct Client;
  const std::unique_ptr<Client> client_;
  const std::string server_;
};

// What SSL_CERT_FILE is set to in a process that uses this: children must not inherit it.
inline constexpr char kNoCertificates[] = "/dev/null";

// `text` for a query.
std::string EncodeQuery(const std::string& text);

}  // namespace grapevine::kube
