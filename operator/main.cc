// grapevine: `grapevine run` is the operator on this machine: the same reconciler and hub as in a
// cluster, over an API server in memory and pods that are child processes.

#include <signal.h>

#include <string>

#include "CLI/CLI.hpp"
#include "operator/assembly/operate.h"
#include "operator/assembly/run.h"
#include "operator/assembly/wait.h"
#include "operator/base/log.h"

namespace grapevine {
namespace {

CLI::App* AddRun(CLI::App& app, assembly::RunOptions& options) {
  CLI::App* run =
      app.add_subcommand("run", "Train a job on this machine, its workers as processes.");
  run->add_option("job", options.job.file, "the job, a YAML file")->required();
  run->add_option("--dataset-path", options.job.dataset_path, "folder of the data set");
  run->add_option("--workers", options.job.workers,
                  "so many workers; widens the job's minimum and maximum to include it")
      ->check(CLI::Range(1, 1000));
  run->add_option("--set", options.job.set, "another value for a field: training.epochs=3")
      ->take_all()
      ->allow_extra_args(false);
  run->add_option("--events", options.events, "30%:scale=6,50%:kill=1,20s:slow=1x10,1s:pause=1x20");
  run->add_option("--report", options.report, "write the outcome as JSON to this file");
  run->add_option("--resume", options.resume, "go on with the checkpoint of an earlier run's uid");
  run->add_option("--metrics", options.metrics, "host:port of the operator's Prometheus metrics");
  return run;
}

CLI::App* AddOperator(CLI::App& app, assembly::OperateOptions& options) {
  CLI::App* operate = app.add_subcommand("operator", "Run the TrainingJobs of a cluster.");
  operate->add_option("--kubeconfig", options.kubeconfig,
                      "how to reach the API server; left out: $KUBECONFIG, the pod's service "
                      "account, ~/.kube/config");
  operate->add_option("--context", options.context, "of the kubeconfig; left out: its current one");
  operate
      ->add_option("--namespace", options.name_spaces,
                   "whose jobs; may be given again; left out: all namespaces")
      ->take_all()
      ->allow_extra_args(false);
  operate->add_option("--topology", options.topology, "host:port that listens for workers")
      ->capture_default_str();
  operate->add_option("--topology-address", options.topology_address,
                      "host:port by which pods reach it; left out: $POD_IP");
  operate
      ->add_option("--worker-image", options.worker_image,
                   "image of pods whose template names none")
      ->capture_default_str();
  operate->add_option("--metrics", options.metrics, "host:port of the Prometheus metrics")
      ->capture_default_str();
  operate->add_option("--health", options.health, "host:port of /healthz and /readyz")
      ->capture_default_str();
  operate->add_option("--leader-elect", options.leader_elect, "stand for election, by a Lease")
      ->capture_default_str();
  operate->add_option("--lease-namespace", options.lease_name_space,
                      "of the Lease; left out: $POD_NAMESPACE, the kubeconfig's");
  operate->add_option("--threads", options.threads, "jobs that are reconciled at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  return operate;
}

CLI::App* AddWait(CLI::App& app, assembly::WaitOptions& options) {
  CLI::App* wait = app.add_subcommand("wait", "Wait until a TrainingJob of a cluster is over.");
  wait->add_option("job", options.job, "its name")->required();
  wait->add_option("--kubeconfig", options.kubeconfig, "as of grapevine operator");
  wait->add_option("--context", options.context, "of the kubeconfig; left out: its current one");
  wait->add_option("--namespace", options.name_space,
                   "of the job; left out: this pod's, or the kubeconfig's");
  wait->add_option("--seconds", options.seconds, "how long it may take")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  return wait;
}

}  // namespace
}  // namespace grapevine

int main(int argc, char** argv) {
  using namespace grapevine;
  // Blocked in every thread, since the threads are made later: the main thread asks for them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  CLI::App app("Trains neural networks by gossip.", "grapevine");
  app.require_subcommand(1);
  assembly::RunOptions run_options;
  assembly::OperateOptions operate_options;
  CLI::App* run = AddRun(app, run_options);
  CLI::App* operate = AddOperator(app, operate_options);
  assembly::WaitOptions wait_options;
  CLI::App* wait = AddWait(app, wait_options);
  std::string format = "text";
  for (CLI::App* each : {run, operate}) {
    each->add_option("--log-format", format, "text or json")
        ->check(CLI::IsMember({"text", "json"}));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : assembly::kBadInput;
  }
  StartLog({.format = format == "json" ? LogFormat::kJson : LogFormat::kText,
            .level = operate->parsed() ? "info" : "warn"})
      .IgnoreError();
  if (wait->parsed()) return assembly::Wait(wait_options, signals);
  return operate->parsed() ? assembly::Operate(operate_options, signals)
                           : assembly::Run(run_options, signals);
}
