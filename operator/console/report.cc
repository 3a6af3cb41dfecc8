#include "operator/console/report.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace grapevine::console {
namespace {

using nlohmann::json;

constexpr char kUnfinished[] = ".part";  // follows the report's name until it is whole

json Number(std::optional<double> value) {
  return value && std::isfinite(*value) ? json(*value) : json(nullptr);
}

json Exchanges(const topology::ExchangeTotals& totals) {
  return {{"completed", totals.completed},
          {"busy", totals.busy},
          {"refused", totals.refused},
          {"timed_out", totals.timed_out},
          {"torn", totals.torn},
          {"seconds_p50", api::ExchangeQuantileSeconds(totals.seconds, 0.5)},
          {"seconds_p99", api::ExchangeQuantileSeconds(totals.seconds, 0.99)},
          {"seconds_max", totals.seconds_max}};
}

json Events(const std::vector<EventRecord>& events) {
  json list = json::array();
  for (const EventRecord& event : events) {
    list.push_back({{"at", Number(event.at)},
                    {"what", event.what},
                    {"fired", event.at.has_value()},
                    {"noticed_after", Number(event.noticed_after)},
                    {"published_after", Number(event.published_after)}});
  }
  return list;
}

json Members(const std::vector<topology::MemberStats>& members) {
  json list = json::array();
  for (const topology::MemberStats& member : members) {
    list.push_back({{"id", member.id},
                    {"pod", member.pod},
                    {"steps", member.steps},
                    {"samples", member.samples},
                    {"samples_per_second", Number(member.samples_per_second)},
                    {"exchanges", member.exchanges},
                    {"mean_staleness_steps", Number(member.mean_staleness_steps)},
                    {"trainer_seconds", Number(member.trainer_seconds)},
                    {"blocked_seconds", Number(member.blocked_seconds)},
                    {"copy_seconds", Number(member.copy_seconds)},
                    {"bytes_sent", member.bytes_sent},
                    {"bytes_received", member.bytes_received}});
  }
  return list;
}

}  // namespace

json ReportJson(const Outcome& outcome) {
  const topology::JobStats& stats = outcome.stats;
  const topology::Evaluation* last = nullptr;
  if (!stats.evaluations.empty()) last = &stats.evaluations.back();
  if (stats.result) last = &*stats.result;
  // A roster that had to begin again may have fallen back behind where the first one began.
  const int64_t trained = std::max<int64_t>(0, stats.samples - stats.samples_before);
  const double rate =
      outcome.training_seconds > 0 ? static_cast<double>(trained) / outcome.training_seconds : 0;
  return {{"job", outcome.job},
          {"uid", outcome.uid},
          {"state", outcome.state},
          {"message", outcome.message},
          {"warning", outcome.warning},
          {"seconds", outcome.seconds},
          {"training_seconds", outcome.training_seconds},
          {"data_epochs", stats.data_epochs},
          {"samples", stats.samples},
          {"samples_per_second", rate},
          {"accuracy", last ? Number(last->accuracy) : json(nullptr)},
          {"loss", last ? Number(last->loss) : json(nullptr)},
          {"test_samples", last ? json(last->samples) : json(nullptr)},
          {"members", {{"joined", stats.joined}, {"left", stats.left}, {"lost", stats.lost}}},
          {"exchanges", Exchanges(stats.exchanges)},
          {"events", Events(outcome.events)},
          {"consensus_distance", Number(stats.consensus_distance)},
          {"settled", stats.settled},
          {"graph", {{"epoch", stats.graph_epoch}, {"changes", stats.graph_changes}}},
          {"final_checkpoint", stats.final_checkpoint},
          {"per_member", Members(stats.members)}};
}

absl::Status CheckReportPath(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status found = std::filesystem::status(path, error);
  if (std::filesystem::exists(found) && !std::filesystem::is_regular_file(found)) {
    return absl::InvalidArgumentError(
        fmt::format("--report {}: is no regular file; allowed is a file, new or old", path));
  }
  const std::string unfinished = path + kUnfinished;
  const bool writable = std::ofstream(unfinished, std::ios::trunc).good();
  const int reason = errno;
  if (!writable) {
    return absl::InvalidArgumentError(
        fmt::format("--report {}: cannot be written: {}", path, std::strerror(reason)));
  }
  std::filesystem::remove(unfinished, error);
  return absl::OkStatus();
}

absl::Status WriteReport(const std::string& path, const json& report) {
  const std::string unfinished = path + kUnfinished;
  std::ofstream file(unfinished, std::ios::trunc);
  file << report.dump(2) << '\n';
  file.close();
  if (!file) return absl::UnavailableError(fmt::format("--report {}: cannot be written", path));
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(fmt::format("--report {}: cannot be put in place", path));
  }
  return absl::OkStatus();
}

}  // namespace grapevine::console
