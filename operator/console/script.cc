#include "operator/console/script.h"

#include <charconv>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "fmt/format.h"

namespace grapevine::console {
namespace {

constexpr int kMaxWorkers = 1000;
constexpr double kMaxSlowdown = 1000;
constexpr double kMaxSeconds = 7 * 24 * 3600;

std::optional<double> ParseNumber(absl::string_view text, double low, double high) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!(value >= low && value <= high)) return std::nullopt;
  return value;
}

std::optional<int> ParseCount(absl::string_view text, int low) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < low || value > kMaxWorkers) return std::nullopt;
  return value;
}

std::optional<Due> ParseDue(absl::string_view text) {
  if (absl::ConsumeSuffix(&text, "%")) {
    const auto percent = ParseNumber(text, 0, 100);
    if (!percent) return std::nullopt;
    return Due{.kind = Due::Kind::kFraction, .fraction = *percent / 100};
  }
  if (absl::ConsumeSuffix(&text, "s")) {
    const auto seconds = ParseNumber(text, 0, kMaxSeconds);
    if (!seconds) return std::nullopt;
    return Due{.kind = Due::Kind::kElapsed, .elapsed = FromSeconds(*seconds)};
  }
  return std::nullopt;
}

std::optional<Action> ParseCountTimes(Action::Kind kind, absl::string_view text, double low,
                                      double high) {
  const std::vector<absl::string_view> halves = absl::StrSplit(text, 'x');
  if (halves.size() != 2) return std::nullopt;
  const auto workers = ParseCount(halves[0], 1);
  const auto amount = ParseNumber(halves[1], low, high);
  if (!workers || !amount) return std::nullopt;
  return Action{.kind = kind, .workers = *workers, .amount = *amount};
}

std::optional<Action> ParseAction(absl::string_view text) {
  if (absl::ConsumePrefix(&text, "scale=")) {
    const auto workers = ParseCount(text, 1);
    if (!workers) return std::nullopt;
    return Action{.kind = Action::Kind::kScale, .workers = *workers};
  }
  if (absl::ConsumePrefix(&text, "kill=")) {
    const auto workers = ParseCount(text, 1);
    if (!workers) return std::nullopt;
    return Action{.kind = Action::Kind::kKill, .workers = *workers};
  }
  if (absl::ConsumePrefix(&text, "slow=")) {
    return ParseCountTimes(Action::Kind::kSlow, text, 1, kMaxSlowdown);
  }
  if (absl::ConsumePrefix(&text, "pause=")) {
    return ParseCountTimes(Action::Kind::kPause, text, 0, kMaxSeconds);
  }
  return std::nullopt;
}

}  // namespace

std::string Action::Text() const {
  switch (kind) {
    case Kind::kScale:
      return fmt::format("scale={}", workers);
    case Kind::kKill:
      return fmt::format("kill={}", workers);
    case Kind::kSlow:
      return fmt::format("slow={}x{:g}", workers, amount);
    case Kind::kPause:
      return fmt::format("pause={}x{:g}", workers, amount);
  }
  return "";
}

absl::StatusOr<std::vector<ScriptedEvent>> ParseScript(std::string_view text) {
  std::vector<ScriptedEvent> events;
  std::vector<std::string> wrong;
  // The distribution's Abseil has a string_view of its own.
  const absl::string_view script(text.data(), text.size());
  if (absl::StripAsciiWhitespace(script).empty()) return events;
  for (absl::string_view entry : absl::StrSplit(script, ',')) {
    entry = absl::StripAsciiWhitespace(entry);
    const size_t colon = entry.find(':');
    std::optional<Due> due;
    std::optional<Action> action;
    if (colon != absl::string_view::npos) {
      due = ParseDue(entry.substr(0, colon));
      action = ParseAction(entry.substr(colon + 1));
    }
    if (due && action) {
      events.push_back({*due, *action, std::string(entry)});
    } else {
      wrong.push_back(absl::StrCat("'", entry, "'"));
    }
  }
  if (!wrong.empty()) {
    return absl::InvalidArgumentError(fmt::format(
        "--events: {0}: allowed are T:scale=N, T:kill=N, T:slow=NxF and "
        "T:pause=NxSECONDS, with T a time (20s) from 0s to {3:.0f}s or a share of the job (50%) "
        "from 0% to 100%, N from 1 to {1}, F from 1 to {2:g}, SECONDS from 0 to {3:.0f}",
        absl::StrJoin(wrong, ", "), kMaxWorkers, kMaxSlowdown, kMaxSeconds));
  }
  return events;
}

}  // namespace grapevine::console
