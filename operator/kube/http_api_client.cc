#include "operator/kube/http_api_client.h"

#include <algorithm>
#include <charconv>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "operator/base/backoff.h"
#include "operator/base/log.h"
#include "operator/controller/object_store.h"
#include "operator/kube/json_text.h"
#include "operator/kube/list_decoder.h"
#include "operator/kube/watch_decoder.h"

namespace grapevine::kube {
namespace {

using controller::ApiError;
using controller::ApiErrorOf;
using controller::Request;
using controller::Resource;
using controller::Watch;
using controller::WatchEvent;
using nlohmann::json;

constexpr char kJson[] = "application/json";
constexpr char kMergePatch[] = "application/merge-patch+json";
constexpr char kApplyPatch[] = "application/apply-patch+yaml";  // JSON is YAML
constexpr char kAgent[] = "grapevine/" GRAPEVINE_VERSION;
constexpr char kFieldManager[] = "grapevine";
constexpr size_t kMaxAnswer = 16 << 20;
constexpr int kWatchSeconds = 300;  // and up to as much again
// A server that has not ended a watch by then is not there any more.
constexpr Duration kWatchSilence = (2 * kWatchSeconds + 10) * 1s;
constexpr Duration kLongestCall = 30s;  // no further try begins later
constexpr BackoffOptions kBrokenPause{.initial = 50ms, .factor = 2, .max = 2s, .jitter = 0.5};
constexpr int kMostBroken = 3;  // tries of a GET whose connection broke

// Text from elsewhere, a program's last words for one, may not be UTF-8.
std::string TextOf(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// /apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME
std::string PathOf(const Resource& resource, std::string_view name_space,
                   std::string_view name = "", std::string_view subresource = "") {
  std::string path = resource.group.empty()
                         ? fmt::format("/api/{}", resource.version)
                         : fmt::format("/apis/{}/{}", resource.group, resource.version);
  if (!name_space.empty()) path += fmt::format("/namespaces/{}", name_space);
  path += "/" + resource.plural;
  if (!name.empty()) path += fmt::format("/{}", name);
  if (!subresource.empty()) path += fmt::format("/{}", subresource);
  return path;
}

std::string NamespaceOf(const Resource& resource, const json& object) {
  if (resource.cluster_wide) return "";
  std::string name_space = controller::KeyOf(object).name_space;
  return name_space.empty() ? "default" : name_space;
}

// What a server said against a call.
ApiError ErrorOf(const HttpAnswer& answer, const std::string& body) {
  ApiError error{.http_status = answer.status};
  if (const auto after = answer.headers.find("retry-after"); after != answer.headers.end()) {
    int seconds = 0;
    const std::string& text = after->second;
    std::from_chars(text.data(), text.data() + text.size(), seconds);
    error.retry_after = std::clamp(seconds, 0, 3600) * 1s;
  }
  const json status = ParseJson(body);
  if (status.is_object() && status.value("kind", json()) == "Status") {
    const auto text = [&](const char* key) {
      const auto found = status.find(key);
      return found != status.end() && found->is_string() ? found->get<std::string>() : "";
    };
    error.reason = text("reason");
    error.message = text("message");
    error.details = status.value("details", json());
  }
  if (error.message.empty()) {
    error.message =
        fmt::format("the API server answered {}: {}", answer.status, body.substr(0, 200));
  }
  return error;
}

// The same with what to do about it, where a person has to.
ApiError Explained(ApiError error, const HttpRequest& request) {
  if (error.http_status == 401) {
    error.message = fmt::format(
        "the API server does not accept these credentials (401 {}): the token or certificate has "
        "expired or belongs to another cluster",
        error.message);
  } else if (error.http_status == 403 && !IsQuota(error)) {
    error.message += "; grant it by a ClusterRole or Role";
  } else if (error.http_status == 404 && error.details.is_null() &&
             request.target.find("/apis/grapevine.dev/") != std::string::npos) {
    error.message = "the API server does not know Grapevine's resources: apply crds/ first";
  }
  return error;
}

bool IsWorthWaiting(const ApiError& error) {
  return (error.http_status == 429 || error.http_status >= 500) && error.retry_after.has_value();
}

std::vector<std::pair<std::string, std::string>> HeadersFor(const Access& access,
                                                            const Identity& identity) {
  std::vector<std::pair<std::string, std::string>> headers = {{"Accept", kJson},
                                                              {"User-Agent", kAgent}};
  // The library asks the server's certificate for the name in this header.
  if (!access.tls_server_name.empty()) headers.emplace_back("Host", access.tls_server_name);
  if (!identity.token.empty()) headers.emplace_back("Authorization", "Bearer " + identity.token);
  const Impersonation& as = access.impersonate;
  if (!as.user.empty()) headers.emplace_back("Impersonate-User", as.user);
  if (!as.uid.empty()) headers.emplace_back("Impersonate-Uid", as.uid);
  for (const std::string& group : as.groups) headers.emplace_back("Impersonate-Group", group);
  for (const auto& [name, values] : as.extra) {
    for (const std::string& value : values) {
      headers.emplace_back("Impersonate-Extra-" + name, value);
    }
  }
  return headers;
}

// The items go to the trimmer one by one and stay where they were put.
struct ListBody {
  explicit ListBody(const controller::ListOptions& options)
      : trim(options.trim), decoder([this](json item) {
          if (trim) trim(item);
          items.push_back(std::move(item));
        }) {}

  const std::function<void(json&)>& trim;
  json::array_t items;
  ListDecoder decoder;
};

std::string ListQuery(const controller::ListOptions& options, int page,
                      const std::string& proceed) {
  std::string query = "?";
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) query += fmt::format("{}{}={}", query.size() > 1 ? "&" : "", name, value);
  };
  add("labelSelector", EncodeQuery(options.selector));
  if (proceed.empty()) add("resourceVersion", EncodeQuery(options.resource_version));
  if (page > 0) add("limit", std::to_string(page));
  add("continue", EncodeQuery(proceed));
  return query.size() > 1 ? query : "";
}

std::string ContinueOf(const json& list) {
  const auto metadata = list.find("metadata");
  if (metadata == list.end() || !metadata->is_object()) return "";
  const auto proceed = metadata->find("continue");
  return proceed != metadata->end() && proceed->is_string() ? proceed->get<std::string>() : "";
}

}  // namespace

// What the thread of a watch does. It may outlive the Watch that a callback has destroyed.
class HttpApiClient::WatchReader {
 public:
  WatchReader(HttpApiClient* client, const Resource& resource, std::string_view name_space,
              controller::WatchOptions options, std::function<void(WatchEvent)> on_event)
      : client_(client),
        resource_(resource),
        name_space_(name_space),
        options_(std::move(options)),
        on_event_(std::move(on_event)) {}

  void Run() {
    HttpRequest request;
    absl::Status status = options_.resource_version.empty() ? TellWhatIsThere() : absl::OkStatus();
    if (status.ok()) {
      request = client_->WatchRequest(resource_, name_space_, options_);
      status = Follow(request);
    }
    if (!ended_ && !told_error_) on_event_(EndOf(status));
  }

  void End() {
    ended_ = true;
    cancellation_.Cancel();
  }

 private:
  // A server with an older etcd watches from no other version than one that it has named.
  absl::Status TellWhatIsThere() {
    absl::StatusOr<json> list =
        client_->List(resource_, name_space_, {.selector = options_.selector});
    if (!list.ok()) return list.status();
    for (json& item : (*list)["items"]) {
      if (!ended_) on_event_({WatchEvent::Type::kAdded, std::move(item)});
    }
    options_.resource_version = controller::ResourceVersionOf(*list);
    return absl::OkStatus();
  }

  absl::Status Follow(const HttpRequest& request) {
    WatchDecoder decoder([this](WatchEvent event) {
      if (ended_) return;
      told_error_ = told_error_ || event.type == WatchEvent::Type::kError;
      on_event_(std::move(event));
    });
    const absl::Status status = client_->TryOnce(
        request, /*watch=*/true,
        [&](const HttpAnswer&, std::string_view bytes) { return decoder.Feed(bytes); },
        &cancellation_);
    return status.ok() && decoder.pending() > 0 ? absl::DataLossError("it was cut off in an event")
                                                : status;
  }

  // An error of the world is one of 5xx to whoever watches: wait, and watch again.
  static WatchEvent EndOf(const absl::Status& status) {
    json end = {{"kind", "Status"}};
    if (const auto error = ApiErrorOf(status)) {
      end["code"] = error->http_status;
      end["reason"] = error->reason;
      end["message"] = error->message;
      if (error->retry_after) {
        end["details"]["retryAfterSeconds"] = static_cast<int>(ToSeconds(*error->retry_after));
      }
    } else if (!status.ok()) {
      end["code"] = 503;
      end["message"] = std::string(status.message());
    }
    return {WatchEvent::Type::kError, std::move(end)};
  }

  HttpApiClient* const client_;
  const Resource resource_;
  const std::string name_space_;
  controller::WatchOptions options_;  // of the thread alone
  const std::function<void(WatchEvent)> on_event_;
  Cancellation cancellation_;
  std::atomic<bool> ended_ = false;
  bool told_error_ = false;  // of the thread alone
};

// Reads on a thread of its own, which alone calls back.
class HttpApiClient::OpenedWatch final : public Watch {
 public:
  OpenedWatch(HttpApiClient* client, std::shared_ptr<WatchReader> reader)
      : reader_(std::move(reader)), thread_([client, reader = reader_]() mutable {
          reader->Run();
          reader.reset();
          client->OnReaderEnded();
        }) {}

  ~OpenedWatch() override {
    reader_->End();
    if (std::this_thread::get_id() == thread_.get_id()) {
      thread_.detach();
    } else {
      thread_.join();
    }
  }

 private:
  const std::shared_ptr<WatchReader> reader_;
  std::thread thread_;
};

HttpApiClient::HttpApiClient(const Access& access, const Clock* clock, HttpApiClientOptions options)
    : access_(access),
      clock_(clock),
      options_(std::move(options)),
      host_(access.server.substr(access.server.find("//") + 2)),
      credentials_(access, clock, options_.run_plugin),
      rng_(std::random_device()()) {}

HttpApiClient::~HttpApiClient() {
  MutexLock lock(mutex_);
  while (readers_ > 0) readers_ended_.Wait(mutex_);
}

absl::StatusOr<json> HttpApiClient::Get(const Resource& resource, std::string_view name_space,
                                        std::string_view name) {
  return CallForObject({.method = "GET", .target = PathOf(resource, name_space, name)});
}

absl::StatusOr<json> HttpApiClient::List(const Resource& resource, std::string_view name_space,
                                         const controller::ListOptions& options) {
  // A page of what is in the server's cache would be read from etcd instead.
  const bool paged = options.resource_version.empty();
  absl::StatusOr<json> list = ListPages(resource, name_space, options, paged ? kPage : 0);
  if (!paged || !absl::IsOutOfRange(list.status())) return list;
  // The rest of the pages is gone: all at once, and anew.
  return ListPages(resource, name_space, options, 0);
}

absl::StatusOr<json> HttpApiClient::ListPages(const Resource& resource, std::string_view name_space,
                                              const controller::ListOptions& options, int page) {
  ListBody body(options);
  json list;
  std::string proceed;
  do {
    const size_t before = body.items.size();
    const HttpRequest request{
        .method = "GET",
        .target = PathOf(resource, name_space) + ListQuery(options, page, proceed)};
    const absl::Status status = Call(
        request,
        [&](const HttpAnswer&, std::string_view bytes) { return body.decoder.Feed(bytes); },
        [&] {
          body.items.resize(before);
          body.decoder.Reset();
        });
    if (!status.ok()) return status;
    absl::StatusOr<json> read = body.decoder.Finish();
    if (!read.ok()) return read.status();
    body.decoder.Reset();
    list = *std::move(read);
    proceed = ContinueOf(list);
  } while (!proceed.empty());
  list["items"] = std::move(body.items);
  return list;
}

absl::StatusOr<json> HttpApiClient::Create(const Resource& resource, const json& object) {
  return CallForObject({.method = "POST",
                        .target = PathOf(resource, NamespaceOf(resource, object)),
                        .body = TextOf(object),
                        .content_type = kJson});
}

absl::StatusOr<json> HttpApiClient::Update(const Resource& resource, const json& object) {
  return CallForObject(
      {.method = "PUT",
       .target = PathOf(resource, NamespaceOf(resource, object), controller::KeyOf(object).name),
       .body = TextOf(object),
       .content_type = kJson});
}

absl::StatusOr<json> HttpApiClient::UpdateStatus(const Resource& resource, const json& object) {
  return CallForObject({.method = "PUT",
                        .target = PathOf(resource, NamespaceOf(resource, object),
                                         controller::KeyOf(object).name, "status"),
                        .body = TextOf(object),
                        .content_type = kJson});
}

absl::StatusOr<json> HttpApiClient::Patch(const Resource& resource, std::string_view name_space,
                                          std::string_view name, const json& patch) {
  return CallForObject({.method = "PATCH",
                        .target = PathOf(resource, name_space, name),
                        .body = TextOf(patch),
                        .content_type = kMergePatch});
}

absl::StatusOr<json> HttpApiClient::Apply(const Resource& resource, const json& object) {
  return CallForObject({.method = "PATCH",
                        .target = fmt::format("{}?fieldManager={}&force=true",
                                              PathOf(resource, NamespaceOf(resource, object),
                                                     controller::KeyOf(object).name),
                                              kFieldManager),
                        .body = TextOf(object),
                        .content_type = kApplyPatch});
}

absl::Status HttpApiClient::Delete(const Resource& resource, std::string_view name_space,
                                   std::string_view name,
                                   const controller::DeleteOptions& options) {
  json body = {
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", "Background"}};
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (options.grace_period_seconds >= 0) body["gracePeriodSeconds"] = options.grace_period_seconds;
  return CallForObject({.method = "DELETE",
                        .target = PathOf(resource, name_space, name),
                        .body = body.dump(),
                        .content_type = kJson})
      .status();
}

absl::StatusOr<std::unique_ptr<Watch>> HttpApiClient::OpenWatch(
    const Resource& resource, std::string_view name_space, const controller::WatchOptions& options,
    std::function<void(WatchEvent)> on_event) {
  {
    MutexLock lock(mutex_);
    ++readers_;
  }
  return std::make_unique<OpenedWatch>(
      this,
      std::make_shared<WatchReader>(this, resource, name_space, options, std::move(on_event)));
}

void HttpApiClient::OnReaderEnded() {
  MutexLock lock(mutex_);
  --readers_;
  readers_ended_.NotifyAll();
}

HttpRequest HttpApiClient::WatchRequest(const Resource& resource, std::string_view name_space,
                                        const controller::WatchOptions& options) {
  std::string target = fmt::format(
      "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
      PathOf(resource, name_space), WatchSeconds(), EncodeQuery(options.resource_version));
  if (!options.selector.empty()) target += "&labelSelector=" + EncodeQuery(options.selector);
  return {.method = "GET", .target = target};
}

absl::StatusOr<json> HttpApiClient::CallForObject(const HttpRequest& request) {
  std::string text;
  const absl::Status status = Call(
      request,
      [&](const HttpAnswer&, std::string_view bytes) {
        text += bytes;
        return text.size() <= kMaxAnswer
                   ? absl::OkStatus()
                   : absl::DataLossError("the API server's answer is too long");
      },
      [&] { text.clear(); });
  if (!status.ok()) return status;
  json object = ParseJson(text);
  if (!object.is_object()) return absl::UnavailableError("the API server's answer is no object");
  return object;
}

absl::Status HttpApiClient::Call(const HttpRequest& request, const OnBody& on_body,
                                 const std::function<void()>& reset) {
  const bool read = request.method == "GET";
  const Time began = clock_->Now();
  int broken = 0;
  for (int i = 1;; ++i) {
    const absl::Status status = TryOnce(request, /*watch=*/false, on_body, nullptr);
    const std::optional<ApiError> error = ApiErrorOf(status);
    if (status.ok() || i == kMostTries) return status;
    Duration pause{};
    if (error && IsWorthWaiting(*error)) {
      pause = std::max<Duration>(*error->retry_after, 100ms);
    } else if (!error && read && absl::IsUnavailable(status) && ++broken < kMostBroken) {
      MutexLock lock(mutex_);
      pause = Backoff(kBrokenPause, broken, rng_);
    } else {
      return status;
    }
    if (clock_->Now() + pause - began > kLongestCall) return status;
    std::this_thread::sleep_for(pause);
    if (reset) reset();
  }
}

absl::Status HttpApiClient::TryOnce(const HttpRequest& request, bool watch, const OnBody& on_body,
                                    Cancellation* cancellation) {
  for (bool again = true;; again = false) {
    absl::StatusOr<Identity> identity = credentials_.Get();
    if (!identity.ok()) return identity.status();
    absl::Status status = SendAs(*identity, request, watch, on_body, cancellation);
    const std::optional<ApiError> error = ApiErrorOf(status);
    const bool refused = error && error->http_status == 401;
    if (!refused || !again || !credentials_.OnUnauthorized(identity->token)) return status;
  }
}

absl::Status HttpApiClient::SendAs(const Identity& identity, HttpRequest request, bool watch,
                                   const OnBody& on_body, Cancellation* cancellation) {
  request.headers = HeadersFor(access_, identity);
  std::string refusal;
  const Time began = clock_->Now();
  const OnBody sort = [&](const HttpAnswer& head, std::string_view bytes) {
    if (head.status < 300) return on_body(head, bytes);
    if (refusal.size() < kMaxAnswer) refusal += bytes;
    return absl::OkStatus();
  };
  const absl::StatusOr<HttpAnswer> answer =
      HttpsFor(identity, watch)->Send(request, sort, cancellation);
  if (options_.probe != nullptr) {
    options_.probe->OnRequest(request.method, host_, answer.ok() ? answer->status : 0,
                              clock_->Now() - began);
  }
  if (!answer.ok()) return answer.status();
  if (answer->status < 300) return absl::OkStatus();
  return ToStatus(Explained(ErrorOf(*answer, refusal), request));
}

std::shared_ptr<Https> HttpApiClient::HttpsFor(const Identity& identity, bool watch) {
  MutexLock lock(mutex_);
  if (calls_ == nullptr || identity.tls_version > tls_version_) {
    tls_version_ = identity.tls_version;
    calls_ = std::make_shared<Https>(access_, identity, options_.silence);
    watches_ = std::make_shared<Https>(access_, identity, kWatchSilence);
  }
  return watch ? watches_ : calls_;
}

int HttpApiClient::WatchSeconds() {
  MutexLock lock(mutex_);
  return kWatchSeconds + static_cast<int>(rng_() % kWatchSeconds);
}

}  // namespace grapevine::kube
