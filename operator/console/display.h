#pragma once

#include <deque>
#include <memory>
#include <string>

#include "operator/base/clock.h"
#include "operator/console/run_session.h"
#include "operator/console/terminal.h"

namespace grapevine::console {

// What the person sees of a run: a screen on a terminal, lines elsewhere. Lives on one thread.
class Display {
 public:
  // Standard error would disturb the screen, so it goes to a file in `log_folder` meanwhile.
  explicit Display(const std::string& log_folder);

  // Some ten times a second: takes the keys, draws when it is time to.
  void Show(RunSession& session, Time now);
  // Gives the terminal back and leaves the last events on it.
  void Close(RunSession& session);

 private:
  void TellNews(RunSession& session);

  static constexpr size_t kNewsLeft = 20;

  std::unique_ptr<Terminal> terminal_;
  int standard_error_ = -1;  // the person's, while the screen is theirs
  std::deque<std::string> last_news_;
  Time drawn_{};
};

// After the run: how it ended, and where its checkpoint and its logs are.
void PrintSummary(const Outcome& outcome, const std::string& log_folder);

}  // namespace grapevine::console
