#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "fmt/core.h"

namespace spdlog {
class formatter;
}

namespace grapevine {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarn, kError };

// Immutable.
struct LogOptions {
  LogFormat format = LogFormat::kText;
  std::string level = "info";  // trace | debug | info | warn | error | off
  std::string job;             // left out of the lines while empty
  std::string member;          // the same; known only after registration
};

// Sends spdlog's default logger to standard error, one line per event, flushed at once. Call it
// first thing in main(), before any thread; everyone then logs with LogInfo and its siblings.
// InvalidArgument for an unknown level, with the levels there are.
absl::Status StartLog(const LogOptions& options);

// Changes the fields, format and level of the log that StartLog set up, for example once the
// member's id is known. Any thread may call it while others log. Errors as StartLog.
absl::Status ChangeLog(const LogOptions& options);

// How one line is laid out:
//   text  2026-05-01T12:00:00.123Z warn  peer lost job=default/digits member=3
//   JSON  {"time":"2026-05-01T12:00:00.123Z","level":"warn","message":"peer lost","job":…}
// Line breaks and other control characters within a message are escaped in both, bytes that are not
// UTF-8 are replaced in JSON. Time is UTC, to the millisecond.
std::unique_ptr<spdlog::formatter> MakeLogFormatter(const LogOptions& options);

// One event. Thread-safe, and so are those below.
void Log(LogLevel level, std::string_view message);

// The formatting itself is compiled once, in the library: spdlog's own templates would make each
// caller compile all of it again.
template <typename... Args>
void LogAt(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  Log(level, fmt::vformat(format, fmt::make_format_args(args...)));
}
template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  LogAt(LogLevel::kDebug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  LogAt(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogWarn(fmt::format_string<Args...> format, Args&&... args) {
  LogAt(LogLevel::kWarn, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  LogAt(LogLevel::kError, format, std::forward<Args>(args)...);
}

}  // namespace grapevine
