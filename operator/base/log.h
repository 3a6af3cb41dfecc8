#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "spdlog/formatter.h"

namespace grapevine {

enum class LogFormat { kText, kJson };

// Immutable.
struct LogOptions {
  LogFormat format = LogFormat::kText;
  std::string level = "info";  // trace | debug | info | warn | error | off
  std::string job;             // left out of the lines while empty
  std::string member;          // the same; known only after registration
};

// Sends spdlog's default logger to standard error, one line per event, flushed at once. Call it
// first thing in main(), before any thread; everyone then logs with spdlog::info(...) and its
// siblings. InvalidArgument for an unknown level, with the levels there are.
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

}  // namespace grapevine
