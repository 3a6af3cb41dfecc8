#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "operator/topology/job_stats.h"

namespace grapevine::console {

// A key or an entry of --events and what came of it. Seconds; nullopt where it did not happen, or,
// for what changes no roster, cannot.
struct EventRecord {
  std::string what;
  std::optional<double> at;               // since the job was submitted; nullopt: it never fired
  std::optional<double> noticed_after;    // from firing to the roster's first change by it
  std::optional<double> published_after;  // from there to the last new view sent
};

struct Outcome {
  std::string job;
  std::string uid;
  std::string state;            // Succeeded, Failed, Stopped
  std::string reason;           // of Failed: InvalidCheckpoint, ...; empty otherwise
  std::string message;          // why it failed; empty otherwise
  std::string warning;          // what is doubtful though it has succeeded; empty for nothing
  double seconds = 0;           // since the job was submitted
  double training_seconds = 0;  // from the first member to the end of the samples
  std::vector<EventRecord> events;
  topology::JobStats stats;
};

// What --report writes. Unknown numbers are null; accuracy is a fraction.
nlohmann::json ReportJson(const Outcome& outcome);

// InvalidArgument unless a report can be written there: known before hours of training, not after.
absl::Status CheckReportPath(const std::string& path);

// Writes beside `path`, then renames: a reader never sees half a report.
absl::Status WriteReport(const std::string& path, const nlohmann::json& report);

}  // namespace grapevine::console
