// grapevine: `grapevine run` is the operator on this machine: the same reconciler and hub as in a
// cluster, over an API server in memory and pods that are child processes.

#include <signal.h>

#include <string>

#include "CLI/CLI.hpp"
#include "operator/assembly/run.h"
#include "operator/base/log.h"

int main(int argc, char** argv) {
  using namespace grapevine;
  // Blocked in every thread, since the threads are made later: the main thread asks for them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  CLI::App app("Trains neural networks by gossip.", "grapevine");
  app.require_subcommand(1);
  assembly::RunOptions options;
  std::string format = "text";
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
  run->add_option("--log-format", format, "text or json")->check(CLI::IsMember({"text", "json"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : assembly::kBadInput;
  }
  StartLog({.format = format == "json" ? LogFormat::kJson : LogFormat::kText, .level = "warn"})
      .IgnoreError();
  return assembly::Run(options, signals);
}
