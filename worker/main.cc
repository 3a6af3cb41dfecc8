// grapevine-worker: trains one copy of the model and gossips. It is told by its environment who it
// is and where the hub is; all else comes with the hub's answer, so one command line serves every
// job.

#include <string>

#include "CLI/CLI.hpp"
#include "operator/base/log.h"
#include "worker/assembly/work.h"

int main(int argc, char** argv) {
  using namespace grapevine;
  // First, since the threads are made later: the main thread alone waits for them.
  const sigset_t signals = assembly::BlockSignals();
  CLI::App app("Trains one copy of a model and averages it with its neighbours.",
               "grapevine-worker");
  std::string format = "text";
  app.add_option("--log-format", format, "text or json")->check(CLI::IsMember({"text", "json"}));
  CLI11_PARSE(app, argc, argv);
  return assembly::Work(format == "json" ? LogFormat::kJson : LogFormat::kText, signals);
}
