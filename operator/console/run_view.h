#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/member.h"

namespace grapevine::console {

struct MemberRow {
  api::MemberId id = 0;
  std::string pod;
  std::string side;   // "active", "passive"
  std::string state;  // "training", "slowed", "paused"
  int64_t steps = 0;
  double samples_per_second = 0;
  std::optional<double> loss;
  double mean_staleness_steps = 0;
  int64_t exchanges = 0;
};

// All that the screen shows of a job, at one moment.
struct RunView {
  std::string job;
  std::string state;  // Starting, Running, Degraded, Finishing, Succeeded, ...
  double elapsed_seconds = 0;
  double remaining_seconds = -1;  // negative: not known yet
  double fraction = 0;            // of the job's samples
  double data_epochs = 0;
  int64_t total_data_epochs = 0;
  double samples_per_second = 0;
  std::optional<double> loss;
  std::optional<double> accuracy;  // latest evaluation, a fraction
  double exchanges_per_second = 0;
  double consensus_distance = 0;
  uint64_t epoch = 0;
  size_t edges = 0;
  double spectral_gap = 0;
  int desired_workers = 0;
  std::vector<MemberRow> members;
  std::vector<std::string> events;  // oldest first
};

struct Line {
  enum class Style { kPlain, kTitle, kHeading, kFaint, kGood, kWarning };
  std::string text;  // ASCII
  Style style = Style::kPlain;
};

// The screen as text: at most `height` lines of at most `width` columns. Members that find no room
// are counted in a line of their own; the events get what is left, the newest last. Pure.
std::vector<Line> Render(const RunView& view, int width, int height);

// One line for logs and pipes, without the events.
std::string ProgressLine(const RunView& view);

}  // namespace grapevine::console
