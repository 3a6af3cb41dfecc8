#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operator/api/member.h"
#include "operator/base/clock.h"

namespace grapevine::scenarios {

// Behaviour as readable text. A scenario file holds cases: lines of commands, `----`, and all that
// they print, up to an empty line. Lines before a case that begin with # are comments. With
// GRAPEVINE_REWRITE=1 in the environment the output is written into the file instead of compared;
// read the diff before you commit it.

// "return 3 lease=1 unused=4": name "return", words {"3"}, options {lease: 1, unused: 4}. Asking
// for an option that is missing or malformed throws std::runtime_error, whose text becomes the
// command's output.
struct Command {
  std::string name;
  std::vector<std::string> words;
  std::map<std::string, std::string> options;

  const std::string& Word(size_t index) const;
  std::string Text(const std::string& option, const std::string& otherwise) const;
  int64_t Number(const std::string& option) const;
  int64_t Number(const std::string& option, int64_t otherwise) const;
  api::MemberId Member() const;                                         // the first word
  std::vector<api::MemberId> Members(const std::string& option) const;  // "1,2,5-8"; may be missing
  Duration Seconds() const;                                             // the first word
};

Command ParseCommand(const std::string& line);

// Interprets the commands of one file, with whatever state they share. Thread-compatible.
class Suite {
 public:
  virtual ~Suite() = default;
  // What the command prints, each line ended. Throws std::runtime_error for a command it does not
  // know.
  virtual std::string Run(const Command& command) = 0;
};

// One per kind of scenario: exchange_*.txt are run by the first, and so on.
std::unique_ptr<Suite> MakeExchangeSuite();
std::unique_ptr<Suite> MakeGraphSuite();
std::unique_ptr<Suite> MakeRosterSuite();
std::unique_ptr<Suite> MakeJobSuite();
std::unique_ptr<Suite> MakeLedgerSuite();

// The file's text as it should be, given what `suite` prints.
std::string Replay(const std::string& text, Suite& suite);

}  // namespace grapevine::scenarios
