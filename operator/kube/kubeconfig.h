#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grapevine::kube {

// A certificate, key or token that stands in the configuration itself or in a file beside it. Text
// beats file.
struct Material {
  std::string text;  // PEM, or the token
  std::string file;

  bool empty() const { return text.empty() && file.empty(); }
  bool operator==(const Material&) const = default;
};

// A program that prints credentials (client.authentication.k8s.io).
struct ExecPlugin {
  std::string command;
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;
  std::string api_version;
  std::string install_hint;
  bool provide_cluster = false;  // tells it of the cluster

  bool operator==(const ExecPlugin&) const = default;
};

struct Impersonation {
  std::string user;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;

  bool operator==(const Impersonation&) const = default;
};

// How to reach one API server as one user.
struct Access {
  std::string server;  // https://host:port/path
  Material authority;  // certificates to trust; empty: the machine's
  bool insecure = false;
  std::string tls_server_name;  // that the server's certificate must bear; empty: its host
  std::string proxy_url;
  Material certificate;
  Material key;
  Material token;  // a file is read again and again
  std::optional<ExecPlugin> exec;
  Impersonation impersonate;
  std::string name_space = "default";

  bool operator==(const Access&) const = default;
};

struct ConfigFile {
  std::string path;  // for errors, and what relative paths count from
  std::string text;  // YAML
};

// Merges the files as kubectl does, the first to name a cluster, user or context wins, and reads
// what `context` (empty: the current one) says. Pure. InvalidArgument names file and field.
absl::StatusOr<Access> ReadKubeconfig(const std::vector<ConfigFile>& files,
                                      const std::string& context);

struct AccessOptions {
  std::string kubeconfig;  // files separated by colons; empty: as below
  std::string context;
};

// The files that are named; else $KUBECONFIG; else the pod's service account; else ~/.kube/config.
// NotFound when there is none of these, and says what to do.
absl::StatusOr<Access> FindAccess(const AccessOptions& options);

// Of a pod: host and port from its environment, the rest from `folder`. NotFound outside of one.
absl::StatusOr<Access> InClusterAccess(const std::string& host, const std::string& port,
                                       const std::string& folder);

}  // namespace grapevine::kube
