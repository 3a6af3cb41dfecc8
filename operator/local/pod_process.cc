#include "operator/local/pod_process.h"

#include <map>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace grapevine::local {
namespace {

using nlohmann::json;

constexpr char kLoopback[] = "127.0.0.1";

// metadata.labels['key'] gives key.
std::string KeyIn(std::string_view field, std::string_view map) {
  const std::string start = fmt::format("metadata.{}['", map);
  if (!field.starts_with(start) || !field.ends_with("']")) return "";
  return std::string(field.substr(start.size(), field.size() - start.size() - 2));
}

absl::StatusOr<std::string> FieldOf(const api::ObjectMeta& metadata, const std::string& field) {
  if (field == "metadata.name") return metadata.name;
  if (field == "metadata.namespace") return metadata.name_space;
  if (field == "metadata.uid") return metadata.uid;
  if (field == "status.podIP") return kLoopback;
  for (const auto& [map, values] :
       {std::pair("labels", &metadata.labels), std::pair("annotations", &metadata.annotations)}) {
    const std::string key = KeyIn(field, map);
    if (key.empty()) continue;
    const auto found = values->find(key);
    return found == values->end() ? std::string() : found->second;
  }
  return absl::InvalidArgumentError(fmt::format("fieldPath {} is not known here", field));
}

absl::StatusOr<std::string> ValueOf(const json& variable, const api::ObjectMeta& metadata) {
  const auto from = variable.find("valueFrom");
  if (from == variable.end()) return variable.value("value", "");
  if (!from->contains("fieldRef")) {
    return absl::InvalidArgumentError(
        fmt::format("valueFrom of {} is not a fieldRef", variable.value("name", "")));
  }
  return FieldOf(metadata, from->at("fieldRef").at("fieldPath").get<std::string>());
}

// The library's exceptions for absent members and wrong types end in CommandOf.
absl::StatusOr<Command> CommandOrThrow(const json& pod, const std::vector<std::string>& inherited) {
  const json& container = pod.at("spec").at("containers").at(0);
  Command command;
  for (const char* part : {"command", "args"}) {
    const auto found = container.find(part);
    if (found == container.end()) continue;
    for (const json& each : *found) command.arguments.push_back(each.get<std::string>());
  }
  if (command.arguments.empty()) {
    return absl::InvalidArgumentError("the pod's first container has no command");
  }
  command.working_directory = container.value("workingDir", "");

  std::map<std::string, std::string> environment;
  for (const std::string& each : inherited) {
    const size_t equals = each.find('=');
    if (equals != std::string::npos) environment[each.substr(0, equals)] = each.substr(equals + 1);
  }
  const api::ObjectMeta metadata = api::MetadataOf(pod);
  if (const auto variables = container.find("env"); variables != container.end()) {
    for (const json& variable : *variables) {
      absl::StatusOr<std::string> value = ValueOf(variable, metadata);
      if (!value.ok()) return value.status();
      environment[variable.at("name").get<std::string>()] = *std::move(value);
    }
  }
  for (const auto& [name, value] : environment) {
    command.environment.push_back(fmt::format("{}={}", name, value));
  }
  return command;
}

json StatusWith(const json& pod, const char* phase, bool ready, json state, api::WallTime now) {
  // Also for a pod that is malformed, which is why it never started.
  const json name = pod.value("/spec/containers/0/name"_json_pointer, json());
  const std::string container = name.is_string() ? name.get<std::string>() : "worker";
  const std::string time = api::FormatWallTime(now);
  json status = pod.value("status", json::object());
  status["phase"] = phase;
  if (!status.contains("startTime")) status["startTime"] = time;
  for (const char* whose : {"pod", "host"}) {
    status[fmt::format("{}IP", whose)] = kLoopback;
    status[fmt::format("{}IPs", whose)] = {{{"ip", kLoopback}}};
  }

  // Conditions of other types, DisruptionTarget for one, are someone else's to change.
  json conditions = json::array();
  for (const json& each : status.value("conditions", json::array())) {
    if (each.value("type", "") != "Ready") conditions.push_back(each);
  }
  conditions.push_back(
      {{"type", "Ready"}, {"status", ready ? "True" : "False"}, {"lastTransitionTime", time}});
  status["conditions"] = std::move(conditions);
  status["containerStatuses"] = json::array(
      {{{"name", container}, {"ready", ready}, {"restartCount", 0}, {"state", std::move(state)}}});
  return status;
}

}  // namespace

absl::StatusOr<Command> CommandOf(const json& pod, const std::vector<std::string>& inherited) {
  try {
    return CommandOrThrow(pod, inherited);
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(fmt::format("pod: {}", error.what()));
  }
}

json RunningStatus(const json& pod, api::WallTime started) {
  return StatusWith(pod, "Running", true,
                    {{"running", {{"startedAt", api::FormatWallTime(started)}}}}, started);
}

json ExitedStatus(const json& pod, const ExitStatus& exit, const std::string& last_output,
                  api::WallTime finished) {
  json terminated = {{"exitCode", exit.code},
                     {"reason", exit.code == 0 ? "Completed" : "Error"},
                     {"finishedAt", api::FormatWallTime(finished)}};
  if (exit.signal != 0) terminated["signal"] = exit.signal;
  const json policy = pod.value("/spec/containers/0/terminationMessagePolicy"_json_pointer, json());
  if (exit.code != 0 && policy == "FallbackToLogsOnError" && !last_output.empty()) {
    terminated["message"] = last_output;
  }
  return StatusWith(pod, exit.code == 0 ? "Succeeded" : "Failed", false,
                    {{"terminated", std::move(terminated)}}, finished);
}

json NotStartedStatus(const json& pod, const absl::Status& why, api::WallTime now) {
  return StatusWith(pod, "Failed", false,
                    {{"terminated",
                      {{"exitCode", 128},
                       {"reason", "StartError"},
                       {"message", std::string(why.message())},
                       {"finishedAt", api::FormatWallTime(now)}}}},
                    now);
}

}  // namespace grapevine::local
