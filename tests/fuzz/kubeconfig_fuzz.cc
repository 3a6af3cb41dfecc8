#include <iterator>
#include <vector>

#include "operator/api/field_reader.h"
#include "operator/api/yaml.h"
#include "operator/kube/kubeconfig.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/targets.h"

namespace grapevine::fuzz {
namespace {

using nlohmann::json;

constexpr std::string_view kNextFile = "\n=====\n";
constexpr size_t kLongestError = 2000;
constexpr size_t kMostMade = 8 << 20;  // of JSON, from any YAML

constexpr std::string_view kTokens[] = {"clusters",
                                        "users",
                                        "contexts",
                                        "current-context",
                                        "exec",
                                        "env",
                                        "as-user-extra",
                                        "insecure-skip-tls-verify",
                                        "tokenFile",
                                        "a",
                                        "b",
                                        "certificate-authority-data",
                                        "&x ",
                                        "*x",
                                        "&x [*x,*x]",
                                        "<<: *x",
                                        "!!binary ",
                                        "!!int ",
                                        "---\n",
                                        "...\n",
                                        "? ",
                                        ": ",
                                        "- ",
                                        "|\n ",
                                        ">+1\n",
                                        "%TAG ! x",
                                        "\n--- \n%i &j *j !k ? l\n",
                                        "0x1f",
                                        "\xEF\xBB\xBF",
                                        "\r\n",
                                        "\n=====\n"};

constexpr std::string_view kSeeds[] = {R"(apiVersion: v1
kind: Config
current-context: a
clusters:
- name: a
  cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: LS0tLS1CRUdJTg==}
- {name: b, cluster: {server: "http://[::1]:8080/path", tls-server-name: x, proxy-url: "http://p"}}
users:
- name: a
  user:
    client-certificate: a.crt
    client-key-data: "LS0tLS0="
    as: someone
    as-uid: "7"
    as-groups: [x, y]
    as-user-extra: {scopes: [p, q], "acme.com/z": []}
- name: b
  user: &b {tokenFile: token, token: abc}
contexts:
- {name: a, context: {cluster: a, user: a, namespace: n}}
- {name: b, context: {cluster: b, user: b}}
=====
users:
- name: c
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./login
      args: [--to, 'x']
      env: [{name: A, value: "1"}]
      installHint: |
        get it
        somewhere
      provideClusterInfo: true
contexts: [{name: c, context: {cluster: b, user: c}}]
)",
                                       R"({"current-context": "c", "clusters": [{"name": "a",
"cluster": {"server": "https://h", "insecure-skip-tls-verify": true}}], "users": [{"name": "c",
"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "login",
"args": null, "env": []}}}],
"contexts": [{"name": "c", "context": {"cluster": "a", "user": "c"}}]})"};

// A YAML text is JSON of bounded size or an error of bounded length; and JSON is YAML.
void CheckYaml(const std::string& text) {
  const absl::StatusOr<json> made = api::ParseYaml(text);
  if (!made.ok()) {
    Require(absl::IsInvalidArgument(made.status()), "an error of another kind");
    Require(made.status().message().size() < kLongestError, "an endless error of YAML");
    return;
  }
  const std::string back = made->dump();
  Require(back.size() < kMostMade, "a short text made " + std::to_string(back.size()) + " bytes");
  const absl::StatusOr<json> again = api::ParseYaml(back);
  if (again.ok()) Require(*again == *made, "read again it is another");
}

}  // namespace

void FuzzKubeconfig(std::string_view input) {
  std::vector<kube::ConfigFile> files;
  for (size_t begin = 0; begin <= input.size();) {
    const size_t end = std::min(input.find(kNextFile, begin), input.size());
    files.push_back({"/etc/kubeconfig", std::string(input.substr(begin, end - begin))});
    CheckYaml(files.back().text);
    begin = end + kNextFile.size();
  }
  for (const char* context : {"", "a", "c"}) {
    const absl::StatusOr<kube::Access> access = kube::ReadKubeconfig(files, context);
    if (!access.ok()) {
      const std::string message(access.status().message());
      Require(absl::IsInvalidArgument(access.status()), "an error of another kind");
      Require(message.find("kubeconfig") != std::string::npos, "an error that names no file");
      Require(message.size() < kLongestError, "an endless error");
      Require(api::IsUtf8(message), "an error that is no text");
      continue;
    }
    Require(access->server.starts_with("http"), "no server");
    Require(access->certificate.empty() == access->key.empty(), "half a pair");
    Require(!access->insecure || access->authority.empty(), "what it trusts is not said");
    Require(!access->exec || !access->exec->command.empty(), "a plugin that is no program");
    // The first to say something wins, so that nothing said again later counts.
    std::vector<kube::ConfigFile> twice = files;
    twice.insert(twice.end(), files.begin(), files.end());
    const absl::StatusOr<kube::Access> same = kube::ReadKubeconfig(twice, context);
    Require(same.ok() && *same == *access, "the same files again change it");
  }
}

std::string MakeKubeconfig(uint64_t number) {
  Mutator mutator(number, kTokens);
  const size_t seed = mutator.Below(std::size(kSeeds));
  std::string text(kSeeds[seed]);
  if (mutator.OneIn(2)) {
    const auto parsed = api::ParseYaml(text.substr(0, text.find(kNextFile)));
    text = mutator.Json(parsed.value()).dump() +
           text.substr(std::min(text.find(kNextFile), text.size()));
  }
  return number < 2 || mutator.OneIn(4) ? text : mutator.Bytes(text, kSeeds[1 - seed]);
}

}  // namespace grapevine::fuzz
