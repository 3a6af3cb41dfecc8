#include "operator/kube/https.h"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cctype>
#include <cstdlib>
#include <exception>

#include "cpprest/http_client.h"
#include "fmt/format.h"
#include "operator/base/log.h"
#include "pplx/threadpool.h"

namespace grapevine::kube {
namespace {

using web::http::http_request;
using web::http::http_response;
using web::http::client::http_client;
using web::http::client::http_client_config;
using SslStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;

// The library's threads only move bytes: no call blocks on one of them. Its default is 40.
constexpr size_t kLibraryThreads = 4;
constexpr size_t kChunk = 64 << 10;
// A peer that is gone without a word is noticed after 15 + 3 * 5 seconds.
constexpr int kKeepaliveIdle = 15;
constexpr int kKeepaliveInterval = 5;
constexpr int kKeepaliveProbes = 3;

void SetSocketOptions(int fd) {
  const auto set = [fd](int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof(value));
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);  // the library writes head and body apart
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdle);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveInterval);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

boost::asio::const_buffer BufferOf(const std::string& text) {
  return boost::asio::buffer(text.data(), text.size());
}

// For each connection the library reads all certificates that the machine trusts, which takes
// 100 ms and 1 MB. Points it to none; returns where they are.
std::string HideMachineCertificates() {
  const char* variable = X509_get_default_cert_file_env();
  const char* chosen = std::getenv(variable);
  std::string file = chosen == nullptr ? X509_get_default_cert_file() : chosen;
  setenv(variable, kNoCertificates, 1);
  return file;
}

const std::string& MachineCertificates() {
  static const std::string file = HideMachineCertificates();
  return file;
}

// Whom we trust and who we are. Throws what OpenSSL finds wrong with it.
void SetUpTls(boost::asio::ssl::context& context, const Identity& identity) {
  if (identity.authority.empty()) {
    context.load_verify_file(MachineCertificates());
  } else {
    context.add_certificate_authority(BufferOf(identity.authority));
  }
  if (!identity.certificate.empty()) {
    context.use_certificate_chain(BufferOf(identity.certificate));
    context.use_private_key(BufferOf(identity.key), boost::asio::ssl::context::pem);
  }
}

http_client_config MakeConfig(const Access& access, const Identity& identity, Duration silence) {
  http_client_config config;
  config.set_timeout(std::chrono::duration_cast<std::chrono::microseconds>(silence));
  config.set_validate_certificates(!access.insecure);
  config.set_max_redirects(0);
  config.set_request_compressed_response(true);  // API servers do it from 128 KiB on
  if (!access.proxy_url.empty()) config.set_proxy(web::web_proxy(web::uri(access.proxy_url)));
  const bool tls = access.server.starts_with("https");
  if (tls) {
    config.set_ssl_context_callback(
        [identity](boost::asio::ssl::context& context) { SetUpTls(context, identity); });
  }
  config.set_nativehandle_options([tls](web::http::client::native_handle handle) {
    if (tls) {
      SetSocketOptions(static_cast<SslStream*>(handle)->next_layer().native_handle());
    } else {
      SetSocketOptions(static_cast<boost::asio::ip::tcp::socket*>(handle)->native_handle());
    }
  });
  return config;
}

http_request MakeRequest(const HttpRequest& request) {
  http_request result(request.method);
  result.set_request_uri(web::uri(request.target));
  for (const auto& [name, value] : request.headers) result.headers().add(name, value);
  if (!request.content_type.empty()) {
    // By its content type alone: with a charset added, the API server knows no patch.
    result.set_body(request.body);
    result.headers().set_content_type(request.content_type);
  }
  return result;
}

HttpAnswer HeadOf(const http_response& response) {
  HttpAnswer answer{.status = response.status_code()};
  for (const auto& [name, value] : response.headers()) {
    std::string lower;
    for (const char c : name)
      lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    answer.headers[lower] = value;
  }
  return answer;
}

// What has come, as soon as it comes: a peek waits for one byte, then all that is there is taken.
absl::Status ReadBody(const http_response& response, const HttpAnswer& head,
                      const OnBody& on_body) {
  auto buffer = response.body().streambuf();
  std::string chunk(kChunk, '\0');
  using Traits = concurrency::streams::char_traits<uint8_t>;
  while (buffer.getc().get() != Traits::eof()) {
    const size_t there = std::min(std::max<size_t>(buffer.in_avail(), 1), kChunk);
    const size_t got = buffer.getn(reinterpret_cast<uint8_t*>(chunk.data()), there).get();
    if (got == 0) break;
    absl::Status status = on_body(head, std::string_view(chunk).substr(0, got));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool Mentions(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

absl::Status StatusOf(const std::string& server, const std::exception& error,
                      const std::error_code& code, bool cancelled) {
  const std::string why = error.what();
  if (cancelled) return absl::CancelledError("the call was ended");
  if (code == std::errc::timed_out || Mentions(why, "timed out")) {
    return absl::DeadlineExceededError(fmt::format("{} does not answer: {}", server, why));
  }
  if (Mentions(why, "handshake") || Mentions(why, "certificate")) {
    return absl::FailedPreconditionError(
        fmt::format("no TLS with {}: {}; the kubeconfig's certificate-authority must be that of "
                    "this server, and its name or address must stand in the server's certificate",
                    server, why));
  }
  return absl::UnavailableError(fmt::format("{} cannot be reached: {}", server, why));
}

}  // namespace

struct Cancellation::Source {
  pplx::cancellation_token_source source;
};

Cancellation::Cancellation() : source_(std::make_unique<Source>()) {}
Cancellation::~Cancellation() = default;
void Cancellation::Cancel() { source_->source.cancel(); }

struct Https::Client {
  explicit Client(const Access& access, const Identity& identity, Duration silence)
      : client(access.server, MakeConfig(access, identity, silence)) {}
  http_client client;
};

Https::Https(const Access& access, const Identity& identity, Duration silence)
    : client_([&] {
        static const bool once = [] {
          MachineCertificates();  // before there are threads that may read the environment
          crossplat::threadpool::initialize_with_threads(kLibraryThreads);
          return true;
        }();
        (void)once;
        return std::make_unique<Client>(access, identity, silence);
      }()),
      server_(access.server) {}

Https::~Https() = default;

absl::StatusOr<HttpAnswer> Https::Send(const HttpRequest& request, const OnBody& on_body,
                                       Cancellation* cancellation) {
  Cancellation own;
  Cancellation& call = cancellation == nullptr ? own : *cancellation;
  const pplx::cancellation_token token = call.source_->source.get_token();
  try {
    const http_response response = client_->client.request(MakeRequest(request), token).get();
    HttpAnswer answer = HeadOf(response);
    if (absl::Status status = ReadBody(response, answer, on_body); !status.ok()) {
      call.Cancel();  // else the library goes on reading
      return status;
    }
    if (token.is_canceled()) return absl::CancelledError("the call was ended");
    return answer;
  } catch (const web::http::http_exception& error) {
    return StatusOf(server_, error, error.error_code(), token.is_canceled());
  } catch (const std::exception& error) {
    return StatusOf(server_, error, {}, token.is_canceled());
  }
}

std::string EncodeQuery(const std::string& text) { return web::uri::encode_data_string(text); }

}  // namespace grapevine::kube
