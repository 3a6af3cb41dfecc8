#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "operator/console/run_view.h"

namespace grapevine::console {

// The whole screen of the terminal on standard output, by ncurses: taken at construction, given
// back at destruction. One at a time in a process. Lives on the thread that made it.
class Terminal {
 public:
  // Null when standard input or output is no terminal or its type is not known to ncurses.
  static std::unique_ptr<Terminal> Open();

  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Draws Render(view) at the window's present size.
  void Draw(const RunView& view);

  // The next key pressed, without waiting.
  std::optional<char> ReadKey();

 private:
  explicit Terminal(void* screen);
  void* const screen_;  // ncurses' SCREEN*
};

}  // namespace grapevine::console
