#include "tests/scenarios/scenario.h"

#include <sstream>
#include <stdexcept>

#include "fmt/format.h"

namespace grapevine::scenarios {
namespace {

int64_t ParseNumber(const std::string& text) {
  size_t used = 0;
  int64_t number = 0;
  try {
    number = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size()) {
    throw std::runtime_error(fmt::format("'{}' is not a number", text));
  }
  return number;
}

std::string RunLine(const std::string& line, Suite& suite) {
  try {
    return suite.Run(ParseCommand(line));
  } catch (const std::runtime_error& error) {
    return fmt::format("error: {}\n", error.what());
  }
}

}  // namespace

const std::string& Command::Word(size_t index) const {
  if (index >= words.size()) throw std::runtime_error(fmt::format("{} needs a word more", name));
  return words[index];
}

std::string Command::Text(const std::string& option, const std::string& otherwise) const {
  auto it = options.find(option);
  return it == options.end() ? otherwise : it->second;
}

int64_t Command::Number(const std::string& option) const {
  auto it = options.find(option);
  if (it == options.end()) throw std::runtime_error(fmt::format("{} needs {}=", name, option));
  return ParseNumber(it->second);
}

int64_t Command::Number(const std::string& option, int64_t otherwise) const {
  return options.contains(option) ? Number(option) : otherwise;
}

api::MemberId Command::Member() const { return static_cast<api::MemberId>(ParseNumber(Word(0))); }

std::vector<api::MemberId> Command::Members(const std::string& option) const {
  std::vector<api::MemberId> members;
  std::istringstream list(Text(option, ""));
  for (std::string item; std::getline(list, item, ',');) {
    const size_t dash = item.find('-');
    const int64_t first = ParseNumber(item.substr(0, dash));
    const int64_t last = dash == std::string::npos ? first : ParseNumber(item.substr(dash + 1));
    for (int64_t id = first; id <= last; ++id) members.push_back(static_cast<api::MemberId>(id));
  }
  return members;
}

Duration Command::Seconds() const {
  try {
    return FromSeconds(std::stod(Word(0)));
  } catch (const std::invalid_argument&) {
    throw std::runtime_error(fmt::format("'{}' is not a number of seconds", Word(0)));
  }
}

Command ParseCommand(const std::string& line) {
  Command command;
  std::istringstream words(line);
  words >> command.name;
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      command.words.push_back(word);
    } else {
      command.options[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  return command;
}

std::string Replay(const std::string& text, Suite& suite) {
  std::istringstream lines(text);
  std::string replayed;
  std::string printed;
  bool in_output = false;
  for (std::string line; std::getline(lines, line);) {
    if (in_output) {
      in_output = !line.empty();
      if (!in_output) replayed += "\n";
      continue;
    }
    replayed += line + "\n";
    if (line == "----") {
      replayed += printed;
      printed.clear();
      in_output = true;
    } else if (!line.empty() && line[0] != '#') {
      printed += RunLine(line, suite);
    }
  }
  return replayed;
}

}  // namespace grapevine::scenarios
