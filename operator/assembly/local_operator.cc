#include "operator/assembly/local_operator.h"

#include <thread>
#include <utility>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/api/validation.h"
#include "operator/controller/object_store.h"
#include "operator/training_job/apply.h"

namespace grapevine::assembly {
namespace {

using training_job::kTrainingJobs;

constexpr Duration kTurn = 10ms;  // of waiting for pods to end
constexpr int kWriteTries = 5;

}  // namespace

LocalOperator::LocalOperator(const LocalOperatorOptions& options)
    : options_(options),
      metrics_({.jobs = [this] { return engine_.Sample(); }}),
      engine_(&server_, &clock_, &metrics_, {}) {}

absl::Status LocalOperator::Start(const nlohmann::json& job) {
  const auto created = server_.Create(kTrainingJobs, job);
  if (!created.ok()) return created.status();
  key_ = controller::KeyOf(*created);  // before the parts start, whose threads read it
  supervisor_ = std::make_unique<Supervisor>(Parts());
  return supervisor_->Start();
}

std::vector<Part> LocalOperator::Parts() {
  std::vector<Part> parts = {{"metrics",  // before all that it tells of
                              [this] { return ServeMetrics(); },
                              [this] {
                                metrics_.StopServing();
                                return absl::OkStatus();
                              }}};
  for (Part& part : engine_.Parts()) parts.push_back(std::move(part));
  parts.push_back({"pods",  // after the hub, which its workers look for
                   [this] {
                     kubelet_ = std::make_unique<local::ProcessKubelet>(
                         &server_, &clock_,
                         local::ProcessKubeletOptions{.log_directory = options_.log_folder});
                     kubelet_->Start();
                     return absl::OkStatus();
                   },
                   [this] {
                     WaitForPodsToEnd();
                     kubelet_->Stop();
                     return absl::OkStatus();
                   }});
  parts.push_back({"faults",
                   [this] {
                     faults_ = std::make_unique<console::Faults>(
                         [this](const std::string& pod, int signal) {
                           return kubelet_->Signal({key_.name_space, pod}, signal);
                         });
                     return absl::OkStatus();
                   },
                   [this] {
                     faults_.reset();  // sets going whoever is stopped
                     return absl::OkStatus();
                   }});
  return parts;
}

absl::Status LocalOperator::ServeMetrics() {
  metrics_.SetLeading(true);  // there is no other
  if (metrics_.Serve(options_.metrics_address).ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("--metrics {}: cannot be served; allowed is host:port, an address of this "
                  "machine and a free port",
                  options_.metrics_address));
}

// Workers that were told to stop end by themselves; who does not is killed.
void LocalOperator::WaitForPodsToEnd() {
  const Time deadline = clock_.Now() + end_grace_;
  while (!kubelet_->Running().empty() && clock_.Now() < deadline) {
    std::this_thread::sleep_for(kTurn);
  }
}

absl::StatusOr<api::TrainingJob> LocalOperator::Job() {
  const auto object = server_.Get(kTrainingJobs, key_.name_space, key_.name);
  if (!object.ok()) return object.status();
  auto job = api::TrainingJobFromJson(*object);
  if (job.ok() && object->contains("status")) {
    job->status = api::StatusFromJson((*object)["status"]);
  }
  return job;
}

// Read, change and write the job's object, again when somebody else wrote meanwhile.
absl::Status LocalOperator::Change(const std::function<void(nlohmann::json&)>& change) {
  absl::Status status;
  for (int i = 0; i < kWriteTries; ++i) {
    auto object = server_.Get(kTrainingJobs, key_.name_space, key_.name);
    if (!object.ok()) return object.status();
    change(*object);
    status = server_.Update(kTrainingJobs, *object).status();
    if (!absl::IsAborted(status)) break;
  }
  return status;
}

absl::Status LocalOperator::Scale(int replicas) {
  const auto job = Job();
  if (!job.ok()) return job.status();
  const api::Workers& workers = job->spec.workers;
  if (replicas < workers.min_replicas || replicas > workers.max_replicas) {
    return absl::InvalidArgumentError(fmt::format("allowed is minReplicas {} to maxReplicas {}",
                                                  workers.min_replicas, workers.max_replicas));
  }
  return Change(
      [replicas](nlohmann::json& object) { object["spec"]["workers"]["replicas"] = replicas; });
}

std::string LocalOperator::StateOf(const std::string& pod) {
  switch (faults_->StateOf(pod)) {
    case console::Faults::State::kRunning:
      return "";
    case console::Faults::State::kSlowed:
      return "slowed";
    case console::Faults::State::kPaused:
      return "paused";
  }
  return "";
}

console::Verbs LocalOperator::Verbs() {
  return {
      .scale = [this](int replicas) { return Scale(replicas); },
      .kill = [this](const std::string& pod) { return faults_->Kill(pod); },
      .slow = [this](const std::string& pod, double factor) { return faults_->Slow(pod, factor); },
      .pause = [this](const std::string& pod,
                      double seconds) { return faults_->Pause(pod, FromSeconds(seconds)); },
      .stop =
          [this] {
            return Change([](nlohmann::json& object) {
              object["metadata"]["annotations"][api::kStopRequestedAnnotation] = "true";
            });
          },
      .state = [this](const std::string& pod) { return StateOf(pod); }};
}

std::string LocalOperator::MetricsUrl() const {
  const std::string& asked = options_.metrics_address;  // its port may be 0, for any
  return fmt::format("http://{}:{}/metrics", asked.substr(0, asked.rfind(':')), metrics_.port());
}

}  // namespace grapevine::assembly
