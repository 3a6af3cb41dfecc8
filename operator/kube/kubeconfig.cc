#include "operator/kube/kubeconfig.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "fmt/format.h"
#include "operator/api/field_reader.h"
#include "operator/api/yaml.h"

namespace grapevine::kube {
namespace {

using nlohmann::json;

constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr size_t kMostFiles = 64;

// As it stands in an error: in one line, and not all of a long one.
std::string Shown(const std::string& name) {
  const std::string found = api::Found(name);
  return found.substr(1, found.ends_with('"') ? found.size() - 2 : std::string::npos);
}

// One entry of a list `clusters`, `users` or `contexts`, and the file that it came from.
struct Entry {
  json body;
  const ConfigFile* file = nullptr;
  std::string where;  // users[name=a].user
};

// Reads fields of one entry; the first that is wrong makes the error.
class Fields {
 public:
  explicit Fields(const Entry& entry) : Fields(entry, entry.body, entry.where) {}

  std::string Text(const char* name) {
    const json& value = At(name);
    if (value.is_null()) return "";
    if (!value.is_string()) Fail(name, "a string");
    return value.is_string() ? value.get<std::string>() : "";
  }
  bool Flag(const char* name) {
    const json& value = At(name);
    if (!value.is_null() && !value.is_boolean()) Fail(name, "true or false");
    return value.is_boolean() && value.get<bool>();
  }
  std::vector<std::string> Texts(const char* name) {
    std::vector<std::string> texts;
    for (const json& value : List(name)) {
      if (value.is_string()) {
        texts.push_back(value.get<std::string>());
      } else {
        Fail(name, "a list of strings");
      }
    }
    return texts;
  }
  std::map<std::string, std::vector<std::string>> TextLists(const char* name) {
    std::map<std::string, std::vector<std::string>> lists;
    std::optional<Fields> child = Child(name);
    if (!child) return lists;
    for (const auto& [key, value] : child->object_.items()) lists[key] = child->Texts(key.c_str());
    Note(child->error());
    return lists;
  }
  // An empty one where there is none.
  json List(const char* name) {
    const json& value = At(name);
    if (!value.is_null() && !value.is_array()) Fail(name, "a list");
    return value.is_array() ? value : json::array();
  }
  std::optional<Fields> Child(const char* name) {
    const json& value = At(name);
    if (value.is_null()) return std::nullopt;
    if (!value.is_object()) {
      Fail(name, "a mapping");
      return std::nullopt;
    }
    return Fields(entry_, value, fmt::format("{}.{}", where_, name));
  }
  // NAME-data, base64 of the text, or NAME, a file.
  Material PemOrFile(const std::string& name) {
    Material material{.file = Path(name.c_str())};
    const std::string encoded = Text((name + "-data").c_str());
    std::string text;
    if (!encoded.empty() && !absl::Base64Unescape(encoded, &text)) {
      Fail(name + "-data", "base64 of a PEM text");
    }
    material.text = std::move(text);
    return material;
  }
  std::string Path(const char* name) {
    const std::string path = Text(name);
    if (path.empty() || path[0] == '/') return path;
    return (std::filesystem::path(entry_.file->path).parent_path() / path).string();
  }
  void Fail(const std::string& name, const std::string& allowed) {
    Note(absl::InvalidArgumentError(
        fmt::format("{}: {}.{}: allowed is {}", entry_.file->path, where_, Shown(name), allowed)));
  }
  void Note(const absl::Status& status) { error_.Update(status); }
  const absl::Status& error() const { return error_; }

 private:
  Fields(const Entry& entry, const json& object, std::string where)
      : entry_(entry), object_(object), where_(std::move(where)) {}

  const json& At(const char* name) const {
    static const json kNone;
    const auto found = object_.find(name);
    return found == object_.end() ? kNone : *found;
  }

  const Entry& entry_;
  const json& object_;
  const std::string where_;
  absl::Status error_;
};

struct Merged {
  std::map<std::string, Entry> clusters;
  std::map<std::string, Entry> users;
  std::map<std::string, Entry> contexts;
  std::string current;
};

// Adds the entries of one list under their names, where nobody came before.
absl::Status Add(const ConfigFile& file, const json& config, const char* list, const char* body,
                 std::map<std::string, Entry>& entries) {
  const auto found = config.find(list);
  if (found == config.end() || found->is_null()) return absl::OkStatus();
  const auto wrong = [&](const std::string& where, const char* allowed) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}: allowed is {}", file.path, where, allowed));
  };
  if (!found->is_array()) return wrong(list, "a list");
  for (size_t i = 0; i < found->size(); ++i) {
    const json& item = (*found)[i];
    const std::string where = fmt::format("{}[{}]", list, i);
    if (!item.is_object()) return wrong(where, "a mapping");
    const auto name = item.find("name");
    if (name == item.end() || !name->is_string()) return wrong(where + ".name", "a string");
    const auto content = item.find(body);
    const bool there = content != item.end() && !content->is_null();
    if (there && !content->is_object()) return wrong(where + "." + body, "a mapping");
    entries.emplace(name->get<std::string>(),
                    Entry{.body = there ? *content : json::object(),
                          .file = &file,
                          .where = fmt::format("{}[name={}].{}", list, Shown(*name), body)});
  }
  return absl::OkStatus();
}

absl::StatusOr<Merged> Merge(const std::vector<ConfigFile>& files) {
  Merged merged;
  for (const ConfigFile& file : files) {
    absl::StatusOr<json> config = api::ParseYaml(file.text);
    if (!config.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {}", file.path, std::string(config.status().message())));
    }
    if (config->is_null()) continue;
    if (!config->is_object()) {
      return absl::InvalidArgumentError(file.path + ": allowed is a kubeconfig, a YAML mapping");
    }
    absl::Status status = Add(file, *config, "clusters", "cluster", merged.clusters);
    status.Update(Add(file, *config, "users", "user", merged.users));
    status.Update(Add(file, *config, "contexts", "context", merged.contexts));
    if (!status.ok()) return status;
    const auto current = config->find("current-context");
    if (merged.current.empty() && current != config->end() && current->is_string()) {
      merged.current = current->get<std::string>();
    }
  }
  return merged;
}

std::string NamesOf(const std::map<std::string, Entry>& entries) {
  std::string names;
  for (const auto& [name, entry] : entries) {
    names += (names.empty() ? "" : ", ") + Shown(name);
    if (names.size() > 300) return names + "...";
  }
  return names.empty() ? "none" : names;
}

absl::StatusOr<const Entry*> Find(const std::map<std::string, Entry>& entries,
                                  const std::string& name, const std::string& what,
                                  const std::string& path) {
  const auto found = entries.find(name);
  if (found != entries.end()) return &found->second;
  return absl::InvalidArgumentError(
      fmt::format("{}: no {} \"{}\"; there is {}", path, what, Shown(name), NamesOf(entries)));
}

void ReadCluster(Fields fields, Access& access, absl::Status& error) {
  access.server = fields.Text("server");
  if (!access.server.starts_with("https://") && !access.server.starts_with("http://")) {
    fields.Fail("server", "https://HOST:PORT");
  }
  access.authority = fields.PemOrFile("certificate-authority");
  access.insecure = fields.Flag("insecure-skip-tls-verify");
  access.tls_server_name = fields.Text("tls-server-name");
  access.proxy_url = fields.Text("proxy-url");
  if (access.insecure && !access.authority.empty()) {
    fields.Fail("insecure-skip-tls-verify", "false beside a certificate-authority");
  }
  error.Update(fields.error());
}

std::optional<ExecPlugin> ReadExec(Fields& user) {
  std::optional<Fields> fields = user.Child("exec");
  if (!fields) return std::nullopt;
  ExecPlugin plugin{.command = fields->Text("command"),
                    .arguments = fields->Texts("args"),
                    .api_version = fields->Text("apiVersion"),
                    .install_hint = fields->Text("installHint"),
                    .provide_cluster = fields->Flag("provideClusterInfo")};
  if (plugin.command.empty()) fields->Fail("command", "a program");
  if (plugin.api_version != "client.authentication.k8s.io/v1" &&
      plugin.api_version != "client.authentication.k8s.io/v1beta1") {
    fields->Fail("apiVersion", "client.authentication.k8s.io/v1 or /v1beta1");
  }
  for (const json& variable : fields->List("env")) {
    const bool right = variable.is_object() && variable.contains("name") &&
                       variable["name"].is_string() && variable.contains("value") &&
                       variable["value"].is_string();
    if (right) {
      plugin.environment[variable["name"].get<std::string>()] =
          variable["value"].get<std::string>();
    } else {
      fields->Fail("env", "a list of name and value");
    }
  }
  // As client-go: a bare name is looked for in PATH, any other path counts from the file.
  if (plugin.command.find('/') != std::string::npos) plugin.command = fields->Path("command");
  user.Note(fields->error());
  return plugin;
}

void ReadUser(Fields fields, Access& access, absl::Status& error) {
  access.certificate = fields.PemOrFile("client-certificate");
  access.key = fields.PemOrFile("client-key");
  access.token = {.text = fields.Text("token"), .file = fields.Path("tokenFile")};
  // Here it is the file that wins: it is renewed.
  if (!access.token.file.empty()) access.token.text.clear();
  access.exec = ReadExec(fields);
  access.impersonate = {.user = fields.Text("as"),
                        .uid = fields.Text("as-uid"),
                        .groups = fields.Texts("as-groups"),
                        .extra = fields.TextLists("as-user-extra")};
  if (access.certificate.empty() != access.key.empty()) {
    fields.Fail(access.key.empty() ? "client-key" : "client-certificate",
                "both of client-certificate and client-key, or neither");
  }
  const Impersonation& as = access.impersonate;
  if (as.user.empty() && !(as.uid.empty() && as.groups.empty() && as.extra.empty())) {
    fields.Fail("as", "a user, beside as-uid and as-groups");
  }
  if (!fields.Text("username").empty() || !fields.Text("password").empty()) {
    fields.Fail("username", "nothing: API servers take no passwords any more");
  }
  error.Update(fields.error());
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !text) return absl::NotFoundError(path + ": cannot be read");
  return std::move(text).str();
}

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<Access> ReadFiles(const std::string& list, const std::string& context) {
  std::vector<ConfigFile> files;
  const std::vector<std::string> paths = absl::StrSplit(list, ':', absl::SkipEmpty());
  if (paths.size() > kMostFiles) return absl::InvalidArgumentError("too many kubeconfig files");
  absl::Status missing;
  for (const std::string& path : paths) {
    absl::StatusOr<std::string> text = ReadFile(path);
    if (text.ok()) {
      files.push_back({std::filesystem::absolute(path).string(), *std::move(text)});
    } else {
      missing.Update(text.status());
    }
  }
  // As kubectl: of several files some may be missing.
  if (files.empty()) return missing;
  return ReadKubeconfig(files, context);
}

}  // namespace

absl::StatusOr<Access> ReadKubeconfig(const std::vector<ConfigFile>& files,
                                      const std::string& context) {
  absl::StatusOr<Merged> merged = Merge(files);
  if (!merged.ok()) return merged.status();
  const std::string path = files.empty() ? "kubeconfig" : files.front().path;
  const std::string& name = context.empty() ? merged->current : context;
  if (name.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: current-context: allowed is one of {}", path, NamesOf(merged->contexts)));
  }
  const auto chosen = Find(merged->contexts, name, "context", path);
  if (!chosen.ok()) return chosen.status();
  Fields fields(**chosen);
  const auto cluster = Find(merged->clusters, fields.Text("cluster"), "cluster", path);
  if (!cluster.ok()) return cluster.status();
  Access access;
  if (const std::string name_space = fields.Text("namespace"); !name_space.empty()) {
    access.name_space = name_space;
  }
  absl::Status error;
  ReadCluster(Fields(**cluster), access, error);
  if (const std::string user = fields.Text("user"); !user.empty()) {
    const auto found = Find(merged->users, user, "user", path);
    if (!found.ok()) return found.status();
    ReadUser(Fields(**found), access, error);
  }
  error.Update(fields.error());
  if (!error.ok()) return error;
  return access;
}

absl::StatusOr<Access> InClusterAccess(const std::string& host, const std::string& port,
                                       const std::string& folder) {
  if (host.empty() || port.empty() || !ReadFile(folder + "/token").ok()) {
    return absl::NotFoundError("not in a pod with a service account");
  }
  const bool v6 = host.find(':') != std::string::npos;
  Access access{.server = v6 ? fmt::format("https://[{}]:{}", host, port)
                             : fmt::format("https://{}:{}", host, port),
                .authority = {.file = folder + "/ca.crt"},
                .token = {.file = folder + "/token"}};
  if (const auto name_space = ReadFile(folder + "/namespace"); name_space.ok()) {
    access.name_space = *name_space;
  }
  return access;
}

absl::StatusOr<Access> FindAccess(const AccessOptions& options) {
  if (!options.kubeconfig.empty()) return ReadFiles(options.kubeconfig, options.context);
  if (const std::string list = FromEnvironment("KUBECONFIG"); !list.empty()) {
    return ReadFiles(list, options.context);
  }
  absl::StatusOr<Access> in_cluster =
      InClusterAccess(FromEnvironment("KUBERNETES_SERVICE_HOST"),
                      FromEnvironment("KUBERNETES_SERVICE_PORT"), kServiceAccount);
  if (in_cluster.ok()) return in_cluster;
  const std::string home = FromEnvironment("HOME") + "/.kube/config";
  if (std::error_code error; !std::filesystem::exists(home, error)) {
    return absl::NotFoundError(fmt::format(
        "no API server is known: give --kubeconfig or KUBECONFIG, or run in a pod; {} is not there",
        home));
  }
  return ReadFiles(home, options.context);
}

}  // namespace grapevine::kube
