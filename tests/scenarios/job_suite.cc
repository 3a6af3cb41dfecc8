#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "operator/api/labels.h"
#include "operator/api/training_job.h"
#include "operator/api/validation.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/companions.h"
#include "tests/scenarios/scenario.h"
#include "tests/simulation/scripted_cluster.h"

namespace grapevine::scenarios {
namespace {

using nlohmann::json;
using training_job::kDisruptionBudgets;
using training_job::kPods;
using training_job::kServices;
using training_job::kTrainingJobs;

constexpr char kSpace[] = "default";
constexpr char kJob[] = "w";

// A word of a scenario, in which _ stands for a space.
std::string Words(std::string text) {
  std::ranges::replace(text, '_', ' ');
  return text;
}

absl::Status StatusOf(const std::string& why) {
  if (why == "quota") return absl::ResourceExhaustedError("exceeded quota: pods");
  if (why == "forbidden") return absl::PermissionDeniedError("a policy forbids it");
  if (why == "invalid") return absl::InvalidArgumentError("spec.containers: required");
  throw std::runtime_error(fmt::format("nothing is refused as {}", why));
}

// apply minReplicas=2 replicas=4 suspend=true   makes the job, or changes these fields of its spec:
//                        those of workers by their names, all others by their paths below spec
// scale 3, suspend, resume, delete
// label w KEY=VALUE, annotate w-1-0 KEY=VALUE   the job's or a pod's; "none" takes it off
// pod w-1-0 failed exit=1 says=out_of_memory    see simulation::ScriptedCluster::Fate; * at its
// end: all those pod w-2-* pending reason=ImagePullBackOff says=no_such_image node n1
// unreachable|gone|back, nodes full|free orphan w-1-0           its owner reference is lost
// stranger w-1-0         a pod with the job's label that is nobody's
// refuse pods why=quota|forbidden|invalid, allow pods
// operator stop|start|restart
// wait 30
// show [conditions|workers|pods|nodes|times|progress|companions|events ...]   or the usual of them
// show template w-0-0    what a pod was made with
class JobSuite final : public Suite {
 public:
  std::string Run(const Command& command) override {
    const std::string& name = command.name;
    if (name == "show") return Show(command);
    if (name == "wait") {
      cluster_.Run(command.Seconds());
    } else if (name == "pod") {
      cluster_.Decree({.pods = command.Word(0),
                       .state = command.Word(1),
                       .reason = command.Text("reason", ""),
                       .message = Words(command.Text("says", "")),
                       .exit_code = static_cast<int>(command.Number("exit", 1))});
    } else if (name == "node") {
      cluster_.SetNode(command.Word(0), command.Word(1));
    } else if (name == "nodes") {
      cluster_.full = command.Word(0) == "full";
    } else if (name == "refuse") {
      cluster_.Refuse(command.Word(0), StatusOf(command.Text("why", "")));
    } else if (name == "allow") {
      cluster_.Refuse(command.Word(0), absl::OkStatus());
    } else if (name == "operator") {
      if (command.Word(0) != "start") cluster_.StopOperator();
      if (command.Word(0) != "stop") cluster_.StartOperator();
    } else {
      Ask(command);
    }
    return "";
  }

 private:
  // What a user asks of the API server.
  void Ask(const Command& command) {
    const std::string& name = command.name;
    if (name == "apply") {
      Apply(command);
    } else if (name == "scale") {
      Patch(kTrainingJobs, kJob, {{"spec", {{"workers", {{"replicas", WordAsNumber(command)}}}}}});
    } else if (name == "suspend" || name == "resume") {
      Patch(kTrainingJobs, kJob, {{"spec", {{"suspend", name == "suspend"}}}});
    } else if (name == "delete") {
      Check(cluster_.server().Delete(kTrainingJobs, kSpace, kJob, {}));
    } else if (name == "label" || name == "annotate") {
      json values;
      for (const auto& [key, value] : command.options) {
        values[key] = value == "none" ? json() : json(value);
      }
      const bool job = command.Word(0) == kJob;
      Patch(job ? kTrainingJobs : kPods, command.Word(0),
            {{"metadata", {{name == "label" ? "labels" : "annotations", values}}}});
    } else if (name == "orphan") {
      Patch(kPods, command.Word(0), {{"metadata", {{"ownerReferences", nullptr}}}});
    } else if (name == "stranger") {
      Check(cluster_.server()
                .Create(kPods, {{"metadata",
                                 {{"name", command.Word(0)},
                                  {"namespace", kSpace},
                                  {"labels", {{api::kJobNameLabel, kJob}}}}}})
                .status());
    } else {
      throw std::runtime_error("unknown command " + name);
    }
  }

  static int64_t WordAsNumber(const Command& command) { return std::stoll(command.Word(0)); }

  static void Check(const absl::Status& status) {
    if (!status.ok()) throw std::runtime_error(std::string(status.message()));
  }

  void Patch(const controller::Resource& resource, const std::string& name, const json& patch) {
    Check(cluster_.server().Patch(resource, kSpace, name, patch).status());
  }

  void Apply(const Command& command) {
    auto found = cluster_.server().Get(kTrainingJobs, kSpace, kJob);
    const bool is_new = !found.ok();
    json job = is_new ? json{{"apiVersion", api::kApiVersion},
                             {"kind", api::kTrainingJobKind},
                             {"metadata",
                              {{"name", kJob},
                               {"namespace", kSpace},
                               {"uid", fmt::format("job-{}", ++jobs_)}}}}
                      : *std::move(found);
    if (is_new) {
      job["spec"] = {
          {"training", {{"model", "mlp"}, {"dataset", {{"name", "digits"}}}, {"epochs", 100'000}}},
          {"workers", {{"maxReplicas", 8}}}};
      job["spec"]["workers"]["template"]["spec"]["containers"] = {
          {{"name", "worker"}, {"image", "worker:1"}}};
    }
    for (const auto& [path, value] : command.options) {
      static const std::set<std::string> kOfWorkers = {"replicas", "minReplicas", "maxReplicas",
                                                       "removeFirst"};
      const bool of_workers = kOfWorkers.contains(path);
      Check(api::ApplyOverride(job,
                               fmt::format("{}{}={}", of_workers ? "workers." : "", path, value)));
    }
    Check((is_new ? cluster_.server().Create(kTrainingJobs, job)
                  : cluster_.server().Update(kTrainingJobs, job))
              .status());
  }

  // --- what there is ---

  std::string Show(const Command& command) {
    if (!command.words.empty() && command.Word(0) == "template") {
      return ShowTemplate(command.Word(1));
    }
    std::vector<std::string> parts = command.words;
    if (parts.empty()) parts = {"conditions", "workers", "pods", "events"};
    auto job = cluster_.server().Get(kTrainingJobs, kSpace, kJob);
    api::TrainingJobStatus status;
    if (job.ok()) status = api::StatusFromJson(job->value("status", json::object()));
    std::string text = job.ok() ? "" : "no job\n";
    for (const std::string& part : parts) {
      const bool of_status = part == "workers" || part == "times" || part == "progress";
      if (job.ok() || !of_status) text += ShowPart(part, status);
    }
    return text.empty() ? "nothing\n" : text;
  }

  std::string ShowPart(const std::string& part, const api::TrainingJobStatus& status) {
    if (part == "conditions") return ShowConditions(status);
    if (part == "pods") return ShowPods("/status/phase");
    if (part == "nodes") return ShowPods("/spec/nodeName");
    if (part == "companions") return ShowCompanions();
    if (part == "events") return cluster_.TakeEvents();
    if (part == "times") {
      return fmt::format("started: {}, completed: {}\n", TimeOf(status.start_time),
                         TimeOf(status.completion_time));
    }
    if (part == "progress") {
      return fmt::format("trained: {} data epochs, {} %\n", status.progress.data_epoch,
                         status.progress.percent);
    }
    if (part != "workers") throw std::runtime_error("nothing is called " + part);
    const api::WorkersStatus& workers = status.workers;
    return fmt::format("workers: {} desired, {} active, {} members, {} restarts, {} disrupted\n",
                       workers.desired, workers.active, workers.members, workers.restarts,
                       workers.disrupted);
  }

  // Those that are true, and Running in any case.
  static std::string ShowConditions(const api::TrainingJobStatus& status) {
    std::string text;
    for (const api::Condition& condition : status.conditions) {
      const bool on = condition.status == "True";
      if (!on && condition.type != api::kRunning) continue;
      text += fmt::format("{}{}: {}{}{}\n", on ? "" : "not ", condition.type, condition.reason,
                          condition.message.empty() ? "" : ": ", condition.message);
    }
    return text;
  }

  std::string ShowPods(const char* by) {
    std::map<std::string, std::vector<std::string>> groups;
    for (const json& pod : cluster_.List(kPods)) {
      const bool deleted = pod.at("metadata").contains("deletionTimestamp");
      const std::string group = pod.value(json::json_pointer(by), "nowhere");
      groups[deleted ? "Terminating" : group].push_back(controller::KeyOf(pod).name);
    }
    std::string text;
    for (const auto& [group, names] : groups) {
      text += fmt::format("{}: {}\n", group, fmt::join(names, " "));
    }
    return text.empty() ? "no pods\n" : text;
  }

  std::string ShowCompanions() {
    std::string text;
    for (const json& budget : cluster_.List(kDisruptionBudgets)) {
      text += fmt::format("disruption budget {}: minAvailable {}\n", controller::KeyOf(budget).name,
                          budget.at("spec").at("minAvailable").dump());
    }
    for (const json& service : cluster_.List(kServices)) {
      text += fmt::format("service {}: clusterIP {}\n", controller::KeyOf(service).name,
                          service.at("spec").at("clusterIP").get<std::string>());
    }
    return text.empty() ? "no companions\n" : text;
  }

  std::string ShowTemplate(const std::string& name) {
    const auto pod = cluster_.server().Get(kPods, kSpace, name);
    Check(pod.status());
    std::string text;
    for (const json& container : pod->at("spec").at("containers")) {
      text += fmt::format("container {}: {}, {} variables\n", container.value("name", "?"),
                          container.value("image", "no image"),
                          container.value("env", json::array()).size());
    }
    for (const auto& [key, value] : pod->at("metadata").at("labels").items()) {
      text += fmt::format("label {}={}\n", key, value.get<std::string>());
    }
    return text;
  }

  std::string TimeOf(const std::string& text) const {
    const auto time = api::ParseWallTime(text);
    if (!time) return "never";
    const auto begun = cluster_.Wall() - cluster_.now();
    return fmt::format("{} s",
                       std::chrono::duration_cast<std::chrono::seconds>(*time - begun).count());
  }

  simulation::ScriptedCluster cluster_;
  int jobs_ = 0;
};

}  // namespace

std::unique_ptr<Suite> MakeJobSuite() { return std::make_unique<JobSuite>(); }

}  // namespace grapevine::scenarios
