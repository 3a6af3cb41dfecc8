#include "tests/cluster/control_plane.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "operator/base/clock.h"
#include "tests/cluster/places.h"
#include "tests/cluster/program.h"

namespace grapevine::cluster {
namespace {

using nlohmann::json;

constexpr Duration kStartLimit = 60s;
constexpr int kPollMs = 50;
constexpr size_t kLogLines = 15;

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? absl::OkStatus() : absl::InternalError(fmt::format("cannot write {}", path));
}

std::string EndOfFile(const std::string& path) {
  std::ifstream file(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > kLogLines) lines.pop_front();
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

// One command makes a key and a certificate, signed by `ca` unless that is empty: then by itself.
absl::Status MakeCertificate(const std::string& folder, const std::string& name,
                             const std::string& subject, const std::string& ca,
                             const std::vector<std::string>& extensions) {
  const auto file = [&](const std::string& base, const char* ending) {
    return fmt::format("{}/{}.{}", folder, base, ending);
  };
  std::vector<std::string> command = {"openssl",  "req",
                                      "-x509",    "-newkey",
                                      "ec",       "-nodes",
                                      "-subj",    subject,
                                      "-days",    "2",
                                      "-keyout",  file(name, "key"),
                                      "-out",     file(name, "crt"),
                                      "-pkeyopt", "ec_paramgen_curve:P-256"};
  if (!ca.empty()) {
    command.insert(command.end(), {"-CA", file(ca, "crt"), "-CAkey", file(ca, "key"), "-addext",
                                   "basicConstraints=critical,CA:FALSE"});
  }
  for (const std::string& each : extensions) {
    command.insert(command.end(), {"-addext", each});
  }
  return RunProgram(command).status();
}

absl::Status WaitUntil(const std::function<bool()>& done, local::ChildProcess& child) {
  const RealClock clock;
  const Time deadline = clock.Now() + kStartLimit;
  while (!done()) {
    pollfd ended{child.exit_fd(), POLLIN, 0};
    poll(&ended, 1, kPollMs);
    if (child.TryWait()) return absl::InternalError("it ended");
    if (clock.Now() > deadline) return absl::DeadlineExceededError("it is not ready");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::Start() {
  const std::optional<std::string> programs = KubernetesPrograms();
  if (!programs) return absl::NotFoundError("no Kubernetes programs: ./dev tools provides them");
  absl::StatusOr<ScratchFolder> folder = ScratchFolder::Make();
  if (!folder.ok()) return folder.status();
  // The constructor is private.
  std::unique_ptr<ControlPlane> result(new ControlPlane(*programs, *std::move(folder)));
  absl::Status status = result->MakeCertificates();
  if (status.ok()) status = result->StartEtcd();
  if (status.ok()) status = result->StartApiServer();
  if (status.ok()) status = result->WaitUntilReady();
  if (status.ok()) return result;
  result->scratch_.Keep();
  return result->Failed(status);
}

ControlPlane::ControlPlane(std::string programs, ScratchFolder scratch)
    : programs_(std::move(programs)),
      scratch_(std::move(scratch)),
      folder_(scratch_.path()),
      kubeconfig_(folder_ + "/admin.kubeconfig") {}

ControlPlane::~ControlPlane() {
  // Nothing of it is wanted any more, so nothing need end in order; but who writes goes first.
  while (!processes_.empty()) processes_.pop_back();
  if (port_holder_ >= 0) close(port_holder_);
}

absl::Status ControlPlane::MakeCertificates() const {
  absl::Status status = MakeCertificate(folder_, "ca", "/CN=grapevine-tests", "", {});
  if (status.ok()) {
    status = MakeCertificate(folder_, "server", "/CN=kube-apiserver", "ca",
                             {"subjectAltName=IP:127.0.0.1,DNS:localhost"});
  }
  if (status.ok()) {
    status = MakeCertificate(folder_, "admin", "/O=system:masters/CN=admin", "ca", {});
  }
  if (!status.ok()) return status;
  return RunProgram({"openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out",
                     folder_ + "/accounts.key"})
      .status();
}

absl::Status ControlPlane::StartEtcd() {
  // It must be told an address of the form host:port even where that is a file.
  absl::Status status = StartProcess(
      "etcd",
      {"--data-dir=etcd", "--unsafe-no-fsync", "--listen-client-urls=unix://etcd.sock:0",
       "--listen-peer-urls=unix://peer.sock:0", "--advertise-client-urls=http://localhost:1"});
  if (!status.ok()) return status;
  return WaitUntil([this] { return std::filesystem::exists(folder_ + "/etcd.sock:0"); },
                   processes_.back().child);
}

// The server is told a port and may share it with a socket that is bound and does not listen: so
// nobody else gets the port in between.
absl::Status ControlPlane::StartApiServer() {
  port_holder_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (port_holder_ < 0 || setsockopt(port_holder_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      bind(port_holder_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(port_holder_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return absl::InternalError("no free port");
  }
  port_ = ntohs(address.sin_port);
  server_ = fmt::format("https://127.0.0.1:{}", port_);
  absl::Status status = WriteKubeconfig(
      kubeconfig_, {{"client-certificate", "admin.crt"}, {"client-key", "admin.key"}});
  if (!status.ok()) return status;
  return StartProcess(
      "kube-apiserver",
      {fmt::format("--etcd-servers=unix:///{}/etcd.sock:0", folder_), "--bind-address=127.0.0.1",
       fmt::format("--secure-port={}", port_), "--permit-port-sharing",
       "--tls-cert-file=server.crt", "--tls-private-key-file=server.key", "--client-ca-file=ca.crt",
       "--authorization-mode=RBAC", "--allow-privileged=true",
       "--service-cluster-ip-range=10.96.0.0/16",
       "--service-account-issuer=https://kubernetes.default.svc",
       "--service-account-key-file=accounts.key",
       "--service-account-signing-key-file=accounts.key"});
}

absl::Status ControlPlane::WaitUntilReady() {
  return WaitUntil(
      [this] {
        return Kubectl({"get", "--raw", "/readyz"}).ok();
      },
      processes_.back().child);
}

absl::Status ControlPlane::StartControllerManager() {
  // Nobody sends a node's heartbeats, which the life-cycle controller would miss.
  return StartProcess("kube-controller-manager",
                      {"--controllers=*,-node-lifecycle-controller",
                       "--kubeconfig=admin.kubeconfig", "--secure-port=0", "--leader-elect=false",
                       "--service-account-private-key-file=accounts.key", "--root-ca-file=ca.crt"});
}

absl::Status ControlPlane::StartScheduler() {
  return StartProcess("kube-scheduler",
                      {"--kubeconfig=admin.kubeconfig", "--secure-port=0", "--leader-elect=false"});
}

absl::Status ControlPlane::StartProcess(const std::string& name,
                                        const std::vector<std::string>& options) {
  const auto runs = [&](const Process& each) { return each.name == name; };
  if (std::any_of(processes_.begin(), processes_.end(), runs)) return absl::OkStatus();
  local::Command command{.arguments = {programs_ + "/" + name},
                         .environment = EnvironmentWith({}),
                         .working_directory = folder_};
  command.arguments.insert(command.arguments.end(), options.begin(), options.end());
  const std::string log = fmt::format("{}/{}.log", folder_, name);
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) return absl::InternalError(fmt::format("cannot write {}", log));
  absl::StatusOr<local::ChildProcess> child = local::ChildProcess::Start(command, output);
  close(output);
  if (!child.ok()) return child.status();
  processes_.push_back({name, *std::move(child)});
  return absl::OkStatus();
}

absl::Status ControlPlane::WriteKubeconfig(const std::string& path, const json& user) const {
  const json config = {
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"clusters",
       {{{"name", "tests"},
         {"cluster", {{"server", server_}, {"certificate-authority", "ca.crt"}}}}}},
      {"users", {{{"name", "tests"}, {"user", user}}}},
      {"contexts", {{{"name", "tests"}, {"context", {{"cluster", "tests"}, {"user", "tests"}}}}}},
      {"current-context", "tests"}};
  return WriteFile(path, config.dump(2));
}

absl::Status ControlPlane::Failed(const absl::Status& why) const {
  std::string text =
      fmt::format("the control plane in {} did not start: {}", folder_, std::string(why.message()));
  for (const Process& each : processes_) {
    text += fmt::format("\n--- {}.log\n{}", each.name,
                        EndOfFile(fmt::format("{}/{}.log", folder_, each.name)));
  }
  return absl::Status(why.code(), text);
}

absl::StatusOr<std::string> ControlPlane::Kubectl(std::vector<std::string> arguments,
                                                  const std::string& input) const {
  arguments.insert(arguments.begin(), {programs_ + "/kubectl", "--kubeconfig", kubeconfig_,
                                       "--cache-dir", folder_ + "/kubectl-cache"});
  if (!input.empty()) {
    const std::string path = folder_ + "/input.yaml";
    if (absl::Status status = WriteFile(path, input); !status.ok()) return status;
    arguments.insert(arguments.end(), {"-f", path});
  }
  return RunProgram(arguments, {"HOME=" + folder_});
}

absl::Status ControlPlane::InstallCrds() const {
  const std::string crds = SourceRoot() + "/crds";
  absl::Status status = Kubectl({"apply", "--server-side", "-f", crds}).status();
  if (!status.ok()) return status;
  return Kubectl({"wait", "--for=condition=Established", "--timeout=30s", "-f", crds}).status();
}

absl::StatusOr<std::string> ControlPlane::NewNamespace() {
  std::string name = fmt::format("test-{}", ++namespaces_);
  const json made = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
  const json account = {{"apiVersion", "v1"},
                        {"kind", "ServiceAccount"},
                        {"metadata", {{"name", "default"}, {"namespace", name}}}};
  // The controller manager makes that account too, perhaps at this moment: hence the server
  // decides.
  absl::Status status =
      Kubectl({"apply", "--server-side"}, made.dump() + "\n---\n" + account.dump()).status();
  if (!status.ok()) return status;
  return name;
}

absl::StatusOr<std::string> ControlPlane::KubeconfigOf(const std::string& name_space,
                                                       const std::string& account,
                                                       const json& rules) const {
  const std::string role = fmt::format("{}-{}", name_space, account);
  const json metadata = {{"name", role}};
  const std::string rbac = "rbac.authorization.k8s.io";
  std::string manifests = json({{"apiVersion", "v1"},
                                {"kind", "ServiceAccount"},
                                {"metadata", {{"name", account}, {"namespace", name_space}}}})
                              .dump();
  if (!rules.empty()) {
    const json cluster_role = {{"apiVersion", rbac + "/v1"},
                               {"kind", "ClusterRole"},
                               {"metadata", metadata},
                               {"rules", rules}};
    const json binding = {
        {"apiVersion", rbac + "/v1"},
        {"kind", "ClusterRoleBinding"},
        {"metadata", metadata},
        {"roleRef", {{"apiGroup", rbac}, {"kind", "ClusterRole"}, {"name", role}}},
        {"subjects", {{{"kind", "ServiceAccount"}, {"name", account}, {"namespace", name_space}}}}};
    manifests += "\n---\n" + cluster_role.dump() + "\n---\n" + binding.dump();
  }
  absl::Status status = Kubectl({"apply", "--server-side"}, manifests).status();
  if (!status.ok()) return status;
  absl::StatusOr<std::string> token =
      Kubectl({"create", "token", account, "--namespace", name_space, "--duration=1h"});
  if (!token.ok()) return token.status();
  token->erase(token->find_last_not_of('\n') + 1);
  std::string path = fmt::format("{}/{}.kubeconfig", folder_, role);
  status = WriteKubeconfig(path, {{"token", *token}});
  if (!status.ok()) return status;
  return path;
}

}  // namespace grapevine::cluster
