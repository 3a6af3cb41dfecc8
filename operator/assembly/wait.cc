#include "operator/assembly/wait.h"

#include <cstdio>

#include "fmt/format.h"
#include "operator/api/training_job.h"
#include "operator/assembly/exec_plugin.h"
#include "operator/base/clock.h"
#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"
#include "operator/training_job/apply.h"

namespace grapevine::assembly {
namespace {

using nlohmann::json;

constexpr int kNotSucceeded = 1;
constexpr int kBadInput = 2;
constexpr int kInterrupted = 130;
constexpr timespec kTurn{.tv_sec = 1};

int Fail(const std::string& why, int exit_status) {
  fmt::print(stderr, "grapevine: {}\n", why);
  return exit_status;
}

// The condition that says most: they are listed with the most telling one first.
api::Condition Telling(const api::TrainingJobStatus& status) {
  for (const api::Condition& condition : status.conditions) {
    if (condition.status == "True") return condition;
  }
  return {.type = "Waiting", .message = "no operator has taken it up"};
}

std::string Describe(const api::TrainingJobStatus& status) {
  const api::Condition condition = Telling(status);
  std::string text = fmt::format("{}, {} %, {} members", condition.type, status.progress.percent,
                                 status.workers.members);
  if (!condition.message.empty()) text += fmt::format(": {}", condition.message);
  return text;
}

}  // namespace

int Wait(const WaitOptions& options, const sigset_t& signals) {
  const auto access =
      kube::FindAccess({.kubeconfig = options.kubeconfig, .context = options.context});
  if (!access.ok()) return Fail(std::string(access.status().message()), kBadInput);
  const std::string name_space =
      options.name_space.empty() ? access->name_space : options.name_space;
  const RealClock clock;
  kube::HttpApiClient client(*access, &clock, {.run_plugin = RunExecPlugin});
  const Time deadline = clock.Now() + Duration(std::chrono::seconds(options.seconds));
  std::string said;
  while (true) {
    const auto job = client.Get(training_job::kTrainingJobs, name_space, options.job);
    if (absl::IsNotFound(job.status())) {
      return Fail(fmt::format("no TrainingJob {} in namespace {}", options.job, name_space),
                  kNotSucceeded);
    }
    const auto status = job.ok() ? api::StatusFromJson(job->value("status", json::object()))
                                 : api::TrainingJobStatus();
    // An API server that is away comes back.
    const std::string now = job.ok() ? Describe(status) : std::string(job.status().message());
    if (now != said) fmt::print("{}: {}\n", options.job, now);
    std::fflush(stdout);
    said = now;
    if (api::IsTrue(status.conditions, api::kSucceeded)) return 0;
    if (api::IsTrue(status.conditions, api::kFailed)) return kNotSucceeded;
    if (clock.Now() >= deadline) {
      return Fail(fmt::format("{} is not over after {} s", options.job, options.seconds),
                  kNotSucceeded);
    }
    if (sigtimedwait(&signals, nullptr, &kTurn) > 0) return kInterrupted;
  }
}

}  // namespace grapevine::assembly
