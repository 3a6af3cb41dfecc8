#include "operator/console/run_view.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "fmt/format.h"

namespace grapevine::console {
namespace {

constexpr int kBarMargin = 26;  // columns beside the bar: percent and remaining time
constexpr int kMinEventLines = 4;
constexpr size_t kEventIndent = 9;  // an event's time stands before its text
constexpr int kMinWrapped = 20;     // in a window of fewer columns events are cut off
constexpr int kMemberColumns = 65;  // of a member's line, without its pod's name

std::string Clock(double seconds) {
  const int64_t whole = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  if (whole >= 3600) {
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string Remaining(const RunView& view) {
  return view.remaining_seconds < 0 ? "--:--" : Clock(view.remaining_seconds);
}

std::string Optional(const std::optional<double>& value, std::string_view format) {
  if (!value || !std::isfinite(*value)) return "-";
  return fmt::format(fmt::runtime(format), *value);
}

std::string Percent(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.2f}%", *fraction * 100) : "-";
}

std::string Bar(double fraction, int width) {
  const int filled = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
  return fmt::format("[{}{}]", std::string(filled, '#'), std::string(width - filled, '.'));
}

Line MemberLine(const MemberRow& row, int pod_width) {
  Line line;
  line.text = fmt::format("{:>4}  {:<{}.{}} {:<7} {:<9.9} {:>7} {:>9.1f} {:>7} {:>5.2f} {:>8}",
                          row.id, row.pod, pod_width, pod_width, row.side, row.state, row.steps,
                          row.samples_per_second, Optional(row.loss, "{:.4f}"),
                          row.mean_staleness_steps, row.exchanges);
  if (row.state == "slowed" || row.state == "paused") line.style = Line::Style::kWarning;
  return line;
}

void AddMembers(const RunView& view, int width, int room, std::vector<Line>& lines) {
  const int pod_width = std::clamp(width - kMemberColumns, 8, 30);
  lines.push_back(
      {fmt::format("{:>4}  {:<{}} {:<7} {:<9} {:>7} {:>9} {:>7} {:>5} {:>8}", "id", "pod",
                   pod_width, "side", "state", "step", "samples/s", "loss", "stale", "exch."),
       Line::Style::kHeading});
  const int all = static_cast<int>(view.members.size());
  const int shown = all <= room ? all : std::max(0, room - 1);
  for (int i = 0; i < shown; ++i) lines.push_back(MemberLine(view.members[i], pod_width));
  if (shown < all) {
    lines.push_back({fmt::format("      ... and {} more", all - shown), Line::Style::kFaint});
  }
}

// The newest events in at most `room` lines; what is too wide goes on in the next one, under the
// text.
void AddEvents(const RunView& view, int width, int room, std::vector<Line>& lines) {
  std::deque<std::string> shown;
  for (auto event = view.events.rbegin();
       event != view.events.rend() && static_cast<int>(shown.size()) < room; ++event) {
    std::vector<std::string> parts{*event};
    while (static_cast<int>(parts.back().size()) > width && width >= kMinWrapped) {
      const size_t space = parts.back().rfind(' ', width);
      const bool at_word = space != std::string::npos && space > kEventIndent;
      std::string rest(kEventIndent, ' ');
      rest += parts.back().substr(at_word ? space + 1 : width);
      parts.back().resize(at_word ? space : width);
      parts.push_back(std::move(rest));
    }
    shown.insert(shown.begin(), parts.begin(), parts.end());
  }
  while (static_cast<int>(shown.size()) > std::max(0, room)) shown.pop_front();
  for (std::string& text : shown) lines.push_back({std::move(text)});
}

}  // namespace

std::vector<Line> Render(const RunView& view, int width, int height) {
  std::vector<Line> lines;
  lines.push_back(
      {fmt::format("grapevine  {}  {}  {}", view.job, view.state, Clock(view.elapsed_seconds)),
       Line::Style::kTitle});
  const int bar = std::max(10, width - kBarMargin);
  lines.push_back({fmt::format("{} {:5.1f}%  {} left", Bar(view.fraction, bar), view.fraction * 100,
                               Remaining(view)),
                   Line::Style::kGood});
  lines.push_back({fmt::format("data epoch {:.2f}/{}   {:.0f} samples/s   loss {}   accuracy {}",
                               view.data_epochs, view.total_data_epochs, view.samples_per_second,
                               Optional(view.loss, "{:.4f}"), Percent(view.accuracy))});
  lines.push_back(
      {fmt::format("members {}/{}   edges {}   gap {:.2f}   epoch {}   {:.0f} exchanges/s   "
                   "distance {:.3g}",
                   view.members.size(), view.desired_workers, view.edges, view.spectral_gap,
                   view.epoch, view.exchanges_per_second, view.consensus_distance)});
  lines.emplace_back();
  const int fixed = static_cast<int>(lines.size()) + 1 /* heading */ + 2 /* blank, keys */;
  const int events = std::min<int>(kMinEventLines, static_cast<int>(view.events.size()));
  AddMembers(view, width, std::max(1, height - fixed - events), lines);
  lines.emplace_back();
  AddEvents(view, width, height - static_cast<int>(lines.size()) - 1, lines);
  while (static_cast<int>(lines.size()) < height - 1) lines.emplace_back();
  lines.emplace_back("+ more  - fewer  k kill  s slow  q stop", Line::Style::kFaint);
  if (static_cast<int>(lines.size()) > height) lines.resize(std::max(0, height));
  for (Line& line : lines) {
    if (static_cast<int>(line.text.size()) > width) line.text.resize(std::max(0, width));
  }
  return lines;
}

std::string ProgressLine(const RunView& view) {
  return fmt::format(
      "{:5.1f}%  data epoch {:.2f}/{}  members {}/{}  {:.0f} samples/s  loss {}  accuracy {}  "
      "{:.0f} "
      "exchanges/s  distance {:.3g}  {} left",
      view.fraction * 100, view.data_epochs, view.total_data_epochs, view.members.size(),
      view.desired_workers, view.samples_per_second, Optional(view.loss, "{:.4f}"),
      Percent(view.accuracy), view.exchanges_per_second, view.consensus_distance, Remaining(view));
}

}  // namespace grapevine::console
