#include "worker/assembly/work.h"

#include <unistd.h>

#include "worker/assembly/environment.h"
#include "worker/assembly/worker.h"
#include "worker/control/topology_client.h"
#include "worker/metrics/worker_metrics.h"
#include "worker/transport/grpc/grpc_transport.h"

namespace grapevine::assembly {
namespace {

constexpr Duration kLeaveLimit = 5s;  // for the exchange under way, then for goodbye
constexpr int kSignalDone = SIGUSR1;  // from the worker to the thread that waits

int Fail(const absl::Status& status) {
  LogError("{}", std::string(status.message()));
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

int WorkIn(const Environment& environment, const LogOptions& log, const sigset_t& signals) {
  const RealClock clock;
  auto transport = transport::GrpcTransport::Create(
      {.listen = environment.listen, .advertised_host = environment.advertise});
  if (!transport.ok()) return Fail(transport.status());
  Worker worker({.threads = environment.threads,
                 .log = log,
                 .on_stopped = [] { kill(getpid(), kSignalDone); }},
                **transport, clock);
  const auto metrics =
      metrics::WorkerMetrics::Serve(environment.metrics, [&worker] { return worker.Counts(); });
  if (!metrics.ok()) return Fail(metrics.status());
  control::TopologyClient client({.hub_address = environment.hub,
                                  .session = {.name_space = environment.name_space,
                                              .job = environment.job,
                                              .pod = environment.pod,
                                              .pod_uid = environment.pod_uid,
                                              .address = (*transport)->address()}},
                                 worker, clock);
  worker.SetClient(&client);
  LogInfo("peers at {}, metrics on port {}, hub {}", (*transport)->address(), (*metrics)->port(),
          environment.hub);
  client.Start();
  int signal = 0;
  sigwait(&signals, &signal);
  // Before the leases are handed back: a member without one exchanges back to back.
  worker.WindDown();
  if (signal != kSignalDone) {
    client.Post([](control::Session& session) { session.Leave("asked to end"); });
  }
  client.Stop(clock.Now() + kLeaveLimit);
  worker.Shutdown(clock.Now() + kLeaveLimit);
  return worker.refused() ? 1 : 0;
}

}  // namespace

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, kSignalDone}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Work(LogFormat format, const sigset_t& signals) {
  const auto environment = ReadEnvironment();
  LogOptions log{.format = format};
  if (environment.ok()) log.job = environment->name_space + "/" + environment->job;
  StartLog(log).IgnoreError();
  return environment.ok() ? WorkIn(*environment, log, signals) : Fail(environment.status());
}

}  // namespace grapevine::assembly
