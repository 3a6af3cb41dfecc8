#include "operator/kube/credentials.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "operator/api/object_meta.h"
#include "operator/base/log.h"
#include "operator/kube/json_text.h"

namespace grapevine::kube {
namespace {

using nlohmann::json;

constexpr size_t kMaxFile = 1 << 20;
constexpr auto kBeforeExpiry = std::chrono::seconds(10);

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !text || text.str().empty() || text.str().size() > kMaxFile) {
    return absl::NotFoundError(path + ": cannot be read, or is empty");
  }
  return std::move(text).str();
}

std::string Stripped(std::string text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

// The text of a Material, read from its file where it has one. What was there before stays when
// that cannot be read.
absl::Status Renew(const Material& material, std::string& text) {
  if (!material.text.empty() || material.file.empty()) {
    if (text.empty()) text = material.text;
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> read = ReadFile(material.file);
  if (read.ok()) {
    text = *std::move(read);
    return absl::OkStatus();
  }
  if (text.empty()) return read.status();
  LogWarn("{}; what was there before is used", std::string(read.status().message()));
  return absl::OkStatus();
}

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

json ExecInfo(const ExecPlugin& plugin, const Access& access, const std::string& authority) {
  json info = {{"apiVersion", plugin.api_version},
               {"kind", "ExecCredential"},
               {"spec", {{"interactive", false}}}};
  if (plugin.provide_cluster) {
    json& cluster = info["spec"]["cluster"];
    cluster["server"] = access.server;
    if (!access.tls_server_name.empty()) cluster["tls-server-name"] = access.tls_server_name;
    if (access.insecure) cluster["insecure-skip-tls-verify"] = true;
    if (!authority.empty()) {
      cluster["certificate-authority-data"] = absl::Base64Escape(authority);
    }
  }
  return info;
}

}  // namespace

absl::StatusOr<PluginAnswer> ReadPluginAnswer(const std::string& text,
                                              const std::string& api_version) {
  const json answer = ParseJson(text);
  if (!answer.is_object() || TextAt(answer, "kind") != "ExecCredential") {
    return absl::UnauthenticatedError("what it printed is no ExecCredential");
  }
  if (TextAt(answer, "apiVersion") != api_version) {
    return absl::UnauthenticatedError(fmt::format("it answered in version \"{}\", not {}",
                                                  TextAt(answer, "apiVersion"), api_version));
  }
  const auto status = answer.find("status");
  if (status == answer.end() || !status->is_object()) {
    return absl::UnauthenticatedError("it printed no status");
  }
  PluginAnswer result{.token = TextAt(*status, "token"),
                      .certificate = TextAt(*status, "clientCertificateData"),
                      .key = TextAt(*status, "clientKeyData")};
  if (result.certificate.empty() != result.key.empty()) {
    return absl::UnauthenticatedError("it printed one of certificate and key without the other");
  }
  if (result.token.empty() && result.certificate.empty()) {
    return absl::UnauthenticatedError("it printed neither a token nor a certificate");
  }
  if (const std::string expires = TextAt(*status, "expirationTimestamp"); !expires.empty()) {
    result.expires = api::ParseWallTime(expires);
    if (!result.expires) {
      return absl::UnauthenticatedError("expirationTimestamp: allowed is a time in UTC");
    }
  }
  return result;
}

Credentials::Credentials(Access access, const Clock* clock, RunPlugin run_plugin)
    : access_(std::move(access)), clock_(clock), run_plugin_(std::move(run_plugin)) {}

absl::StatusOr<Identity> Credentials::Get() {
  MutexLock lock(mutex_);
  const Identity before = identity_;
  if (!read_at_ || clock_->Now() - *read_at_ >= kReread) {
    if (absl::Status status = ReadFilesLocked(); !status.ok()) return status;
    read_at_ = clock_->Now();
  }
  const bool expired = expires_ && std::chrono::system_clock::now() >= *expires_ - kBeforeExpiry;
  if (access_.exec && (!plugin_ran_ || expired)) {
    if (absl::Status status = RunPluginLocked(); !status.ok()) return status;
  }
  const bool same = before.authority == identity_.authority &&
                    before.certificate == identity_.certificate && before.key == identity_.key;
  if (!same || identity_.tls_version == 0) ++identity_.tls_version;
  return identity_;
}

bool Credentials::OnUnauthorized(const std::string& token) {
  MutexLock lock(mutex_);
  if (token != identity_.token) return true;  // it has changed since
  if (access_.exec && plugin_ran_) {
    plugin_ran_ = false;
    return true;
  }
  if (access_.token.file.empty()) return false;
  read_at_.reset();
  const absl::StatusOr<std::string> now = ReadFile(access_.token.file);
  return now.ok() && Stripped(*now) != token;
}

absl::Status Credentials::ReadFilesLocked() {
  absl::Status status = Renew(access_.authority, identity_.authority);
  if (!access_.exec || !access_.certificate.empty()) {
    status.Update(Renew(access_.certificate, identity_.certificate));
    status.Update(Renew(access_.key, identity_.key));
  }
  if (!access_.exec || !access_.token.empty()) {
    status.Update(Renew(access_.token, identity_.token));
    identity_.token = Stripped(std::move(identity_.token));
  }
  return status;
}

absl::Status Credentials::RunPluginLocked() {
  const ExecPlugin& plugin = *access_.exec;
  const auto failed = [&](const absl::Status& why) {
    return absl::UnauthenticatedError(fmt::format(
        "the credential plugin {} failed: {}{}{}", plugin.command, std::string(why.message()),
        plugin.install_hint.empty() ? "" : "; ", plugin.install_hint));
  };
  const absl::StatusOr<std::string> printed =
      run_plugin_(plugin, ExecInfo(plugin, access_, identity_.authority).dump());
  if (!printed.ok()) return failed(printed.status());
  absl::StatusOr<PluginAnswer> answer = ReadPluginAnswer(*printed, plugin.api_version);
  if (!answer.ok()) return failed(answer.status());
  identity_.token = std::move(answer->token);
  if (!answer->certificate.empty()) {
    identity_.certificate = std::move(answer->certificate);
    identity_.key = std::move(answer->key);
  }
  expires_ = answer->expires;
  plugin_ran_ = true;
  return absl::OkStatus();
}

}  // namespace grapevine::kube
