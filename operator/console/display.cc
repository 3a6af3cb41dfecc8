#include "operator/console/display.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "fmt/format.h"
#include "operator/base/text.h"
#include "operator/console/report.h"
#include "operator/console/run_folder.h"
#include "operator/console/run_view.h"

namespace grapevine::console {
namespace {

constexpr Duration kDrawEvery = 250ms;   // the screen
constexpr Duration kProgressEvery = 5s;  // the line without a terminal

}  // namespace

Display::Display(const std::string& log_folder) : terminal_(Terminal::Open()) {
  if (terminal_ == nullptr) return;
  const std::string path = log_folder + "/grapevine.log";
  const int log = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) {
    terminal_.reset();
    return;
  }
  standard_error_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  dup2(log, STDERR_FILENO);
  close(log);
}

void Display::Show(RunSession& session, Time now) {
  TellNews(session);
  if (terminal_ != nullptr) {
    while (const auto key = terminal_->ReadKey()) session.OnKey(*key, now);
    if (now - drawn_ >= kDrawEvery) {
      terminal_->Draw(session.View(now));
      drawn_ = now;
    }
    return;
  }
  if (now - drawn_ >= kProgressEvery) {
    fmt::print("{}\n", ProgressLine(session.View(now)));
    drawn_ = now;
  }
  std::fflush(stdout);
}

void Display::Close(RunSession& session) {
  TellNews(session);
  terminal_.reset();
  if (standard_error_ >= 0) {
    dup2(standard_error_, STDERR_FILENO);
    close(standard_error_);
  }
  for (const std::string& line : last_news_) fmt::print("{}\n", line);
}

void Display::TellNews(RunSession& session) {
  for (const std::string& line : session.TakeNews()) {
    if (terminal_ == nullptr) {
      fmt::print("{}\n", line);
      continue;
    }
    last_news_.push_back(line);
    if (last_news_.size() > kNewsLeft) last_news_.pop_front();
  }
}

void PrintSummary(const Outcome& outcome, const std::string& log_folder) {
  const nlohmann::json report = ReportJson(outcome);
  const auto number = [](const nlohmann::json& value, double scale, const char* unit) {
    return value.is_number() ? fmt::format("{:.2f}{}", value.get<double>() * scale, unit)
                             : std::string("unknown");
  };
  fmt::print("{} {}: accuracy {}, {:.1f} s, {} joined, {} left, {} lost, {}\n", outcome.job,
             outcome.state, number(report["accuracy"], 100, "%"), outcome.seconds,
             Counted(outcome.stats.joined, "member"), outcome.stats.left, outcome.stats.lost,
             Counted(outcome.stats.exchanges.completed, "exchange"));
  if (!outcome.message.empty()) fmt::print("{}\n", outcome.message);
  if (!outcome.warning.empty()) fmt::print("warning: {}\n", outcome.warning);
  if (!outcome.stats.final_checkpoint.empty()) {
    fmt::print("checkpoint {}\n", outcome.stats.final_checkpoint);
  }
  for (const EventRecord& event : outcome.events) {
    if (!event.at) fmt::print("never fired: {}\n", event.what);
  }
  fmt::print("logs in {}\n", log_folder);
  const bool loads = outcome.reason != "InvalidCheckpoint";
  if (outcome.state != "Succeeded" && loads && HasCheckpoint(log_folder)) {
    fmt::print("--resume {} goes on from its checkpoint\n", outcome.uid);
  }
}

}  // namespace grapevine::console
