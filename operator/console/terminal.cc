#include "operator/console/terminal.h"

#include <curses.h>
#include <unistd.h>

namespace grapevine::console {
namespace {

chtype Attributes(Line::Style style) {
  switch (style) {
    case Line::Style::kPlain:
      return A_NORMAL;
    case Line::Style::kTitle:
      return A_BOLD;
    case Line::Style::kHeading:
      return A_UNDERLINE;
    case Line::Style::kFaint:
      return A_DIM;
    case Line::Style::kGood:
      return COLOR_PAIR(1);
    case Line::Style::kWarning:
      return COLOR_PAIR(2);
  }
  return A_NORMAL;
}

}  // namespace

std::unique_ptr<Terminal> Terminal::Open() {
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return nullptr;
  // newterm, unlike initscr, does not end the process when the terminal is unknown.
  SCREEN* screen = newterm(nullptr, stdout, stdin);
  if (screen == nullptr) return nullptr;
  return std::unique_ptr<Terminal>(new Terminal(screen));
}

Terminal::Terminal(void* screen) : screen_(screen) {
  cbreak();
  noecho();
  nodelay(stdscr, TRUE);
  keypad(stdscr, TRUE);
  curs_set(0);
  start_color();
  use_default_colors();
  init_pair(1, COLOR_GREEN, -1);
  init_pair(2, COLOR_YELLOW, -1);
}

Terminal::~Terminal() {
  endwin();
  delscreen(static_cast<SCREEN*>(screen_));
}

void Terminal::Draw(const RunView& view) {
  int height = 0;
  int width = 0;
  getmaxyx(stdscr, height, width);
  erase();
  int y = 0;
  // A last column left empty: writing the bottom right cell would scroll some terminals.
  for (const Line& line : Render(view, width - 1, height)) {
    attrset(static_cast<int>(Attributes(line.style)));
    mvaddnstr(y++, 0, line.text.c_str(), width - 1);
  }
  attrset(A_NORMAL);
  refresh();
}

std::optional<char> Terminal::ReadKey() {
  const int key = getch();  // KEY_RESIZE has resized stdscr already
  if (key == ERR || key > 127) return std::nullopt;
  return static_cast<char>(key);
}

}  // namespace grapevine::console
