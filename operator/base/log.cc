#include "operator/base/log.h"

#include <chrono>
#include <ctime>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "spdlog/formatter.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace grapevine {
namespace {

absl::StatusOr<spdlog::level::level_enum> ParseLevel(const std::string& name) {
  for (const char* known : {"trace", "debug", "info", "warn", "error", "off"}) {
    if (name == known) return spdlog::level::from_str(name);
  }
  return absl::InvalidArgumentError(
      fmt::format("log level '{}': must be trace, debug, info, warn, error or off", name));
}

// spdlog's own name for it is "warning", which is wider than the others.
std::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
      return "trace";
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::info:
      return "info";
    case spdlog::level::warn:
      return "warn";
    default:
      return "error";
  }
}

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string UtcTime(spdlog::log_clock::time_point at) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch());
  const std::time_t seconds = static_cast<std::time_t>(since.count() / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     since.count() % 1000);
}

// What a peer or a file says must not forge a line of its own, nor speak to the terminal.
std::string OneLine(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

// Thread-compatible: the sink that owns it calls it under its own lock.
class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(LogOptions options) : options_(std::move(options)) {}

  void format(const spdlog::details::log_msg& event, spdlog::memory_buf_t& out) override {
    const std::string_view message(event.payload.data(), event.payload.size());
    const std::string line =
        options_.format == LogFormat::kJson ? Json(event, message) : Text(event, message);
    out.append(line.data(), line.data() + line.size());
    out.push_back('\n');
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(options_);
  }

 private:
  std::string Text(const spdlog::details::log_msg& event, std::string_view message) const {
    std::string line =
        fmt::format("{} {:<5} {}", UtcTime(event.time), LevelName(event.level), OneLine(message));
    if (!options_.job.empty()) line += " job=" + options_.job;
    if (!options_.member.empty()) line += " member=" + options_.member;
    return line;
  }

  std::string Json(const spdlog::details::log_msg& event, std::string_view message) const {
    nlohmann::ordered_json line{
        {"time", UtcTime(event.time)}, {"level", LevelName(event.level)}, {"message", message}};
    if (!options_.job.empty()) line["job"] = options_.job;
    if (!options_.member.empty()) line["member"] = options_.member;
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }

  const LogOptions options_;
};

}  // namespace

std::unique_ptr<spdlog::formatter> MakeLogFormatter(const LogOptions& options) {
  return std::make_unique<LineFormatter>(options);
}

absl::Status StartLog(const LogOptions& options) {
  if (auto level = ParseLevel(options.level); !level.ok()) return level.status();
  auto logger = std::make_shared<spdlog::logger>("grapevine",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return ChangeLog(options);
}

absl::Status ChangeLog(const LogOptions& options) {
  const auto level = ParseLevel(options.level);
  if (!level.ok()) return level.status();
  spdlog::default_logger()->set_formatter(MakeLogFormatter(options));
  spdlog::default_logger()->set_level(*level);
  return absl::OkStatus();
}

void Log(LogLevel level, std::string_view message) {
  spdlog::default_logger_raw()->log(SpdlogLevel(level), message);
}

}  // namespace grapevine
