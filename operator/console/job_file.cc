#include "operator/console/job_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "fmt/format.h"
#include "operator/api/field_reader.h"
#include "operator/api/validation.h"
#include "operator/api/yaml.h"

namespace grapevine::console {
namespace {

using nlohmann::json;

constexpr char kDefaultCheckpointPath[] = "checkpoints";

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status found = std::filesystem::status(path, error);
  if (found.type() == std::filesystem::file_type::not_found) {
    return absl::NotFoundError(fmt::format("{}: no such file", path));
  }
  if (error) {
    return absl::InvalidArgumentError(fmt::format("{}: cannot be read: {}", path, error.message()));
  }
  std::ifstream file(path);
  // One byte more shows that there is too much, which the parser says.
  std::string text(api::kMaxYamlBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// The mapping under `key`, made when it is missing; nullptr when something else is there, which the
// parser will report.
json* Section(json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  json& section = object[key];
  if (section.is_null()) section = json::object();
  return section.is_object() ? &section : nullptr;
}

// YAML's `key:` and its absence say the same.
bool Lacks(const json& section, const char* key) {
  return !section.contains(key) || section[key].is_null();
}

void SetWorkers(json& spec, int replicas) {
  json* workers = Section(spec, "workers");
  if (workers == nullptr) return;
  (*workers)["replicas"] = replicas;
  for (const char* bound : {"minReplicas", "maxReplicas"}) {
    if (!workers->contains(bound) || !(*workers)[bound].is_number_integer()) continue;
    const auto present = (*workers)[bound].get<int64_t>();
    if (present < 1 || present > api::kMaxReplicas) continue;  // for validation to report
    (*workers)[bound] = std::string_view(bound) == "minReplicas"
                            ? std::min<int64_t>(present, replicas)
                            : std::max<int64_t>(present, replicas);
  }
}

// The first container's, which is the worker's, as far as the template leaves it open.
void SetCommand(json& spec, const std::string& worker) {
  json* workers = Section(spec, "workers");
  json* pod = workers != nullptr ? Section(*workers, "template") : nullptr;
  json* pod_spec = pod != nullptr ? Section(*pod, "spec") : nullptr;
  if (pod_spec == nullptr) return;
  json& containers = (*pod_spec)["containers"];
  if (containers.empty()) containers = json::array({nullptr});
  if (!containers.is_array()) return;
  json& container = containers[0];
  if (container.is_null()) container = {{"name", "worker"}};
  if (!container.is_object()) return;
  if (Lacks(container, "command") || container["command"].empty()) {
    container["command"] = json::array({worker});
  }
}

absl::Status MakeAbsolute(json* section) {
  if (section == nullptr || !section->contains("path") || !(*section)["path"].is_string()) {
    return absl::OkStatus();
  }
  const std::string path = (*section)["path"];
  if (path.empty()) return absl::OkStatus();
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) {
    return absl::InvalidArgumentError(
        fmt::format("{}: cannot be made absolute: {}", path, error.message()));
  }
  (*section)["path"] = absolute.lexically_normal();
  return absl::OkStatus();
}

void FillIn(const JobFileOptions& options, json& object) {
  if (json* metadata = Section(object, "metadata")) {
    if (Lacks(*metadata, "namespace")) (*metadata)["namespace"] = "default";
  }
  json* spec = Section(object, "spec");
  if (spec == nullptr) return;
  if (options.workers) SetWorkers(*spec, *options.workers);
  json* training = Section(*spec, "training");
  json* dataset = training != nullptr ? Section(*training, "dataset") : nullptr;
  if (dataset != nullptr && !options.dataset_path.empty()) {
    (*dataset)["path"] = options.dataset_path;
  }
  json* checkpoint = Section(*spec, "checkpoint");
  if (checkpoint != nullptr && Lacks(*checkpoint, "path")) {
    (*checkpoint)["path"] = kDefaultCheckpointPath;
  }
}

absl::Status MakePathsAbsolute(json& object) {
  json* spec = Section(object, "spec");
  if (spec == nullptr) return absl::OkStatus();
  absl::Status status = MakeAbsolute(Section(*spec, "checkpoint"));
  if (json* training = Section(*spec, "training")) {
    status.Update(MakeAbsolute(Section(*training, "dataset")));
  }
  return status;
}

// Right in a cluster, but here nobody else would ever take the job on.
void RefuseToWait(const api::TrainingJobSpec& spec, std::vector<api::Violation>& violations) {
  if (spec.suspend) {
    violations.push_back({"spec.suspend", "true", "false: a run begins at once"});
  }
  if (!spec.managed_by.empty()) {
    violations.push_back(
        {"spec.managedBy", api::Found(spec.managed_by), "nothing: a run manages its job itself"});
  }
}

// What would end a run's job before the run itself: it owns the job and has no cluster around it.
void LeaveOutOtherOwners(JobFile& file) {
  file.object["metadata"].erase("ownerReferences");
  file.object["spec"].erase("ttlSecondsAfterFinished");
  file.job.spec.ttl_seconds_after_finished.reset();
}

}  // namespace

absl::StatusOr<JobFile> LoadJobFile(const JobFileOptions& options, const std::string& worker) {
  const auto text = ReadFile(options.file);
  if (!text.ok()) return text.status();
  auto object = api::ParseYaml(*text);
  if (!object.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", options.file, std::string(object.status().message())));
  }
  FillIn(options, *object);
  for (const std::string& assignment : options.set) {
    const absl::Status status = api::ApplyOverride(*object, assignment);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("--set {}: {}", assignment, std::string(status.message())));
    }
  }
  if (json* spec = Section(*object, "spec")) SetCommand(*spec, worker);
  if (absl::Status status = MakePathsAbsolute(*object); !status.ok()) return status;
  const auto refuse = [&options](const std::vector<api::Violation>& violations) {
    return absl::InvalidArgumentError(
        fmt::format("{}:\n{}", options.file, api::Describe(violations)));
  };
  if (const auto bad_text = api::FindBadText(*object); !bad_text.empty()) return refuse(bad_text);
  api::ParsedTrainingJob parsed = api::ParseTrainingJob(*object);
  RefuseToWait(parsed.job.spec, parsed.violations);
  if (!parsed.violations.empty()) return refuse(parsed.violations);
  JobFile file{*std::move(object), std::move(parsed.job)};
  LeaveOutOtherOwners(file);
  return file;
}

}  // namespace grapevine::console
