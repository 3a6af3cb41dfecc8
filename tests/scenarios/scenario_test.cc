#include "tests/scenarios/scenario.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gtest/gtest.h"

namespace grapevine::scenarios {
namespace {

struct Kind {
  std::string prefix;
  std::unique_ptr<Suite> (*make)();
};

const Kind kKinds[] = {
    {"exchange_", MakeExchangeSuite}, {"graph_", MakeGraphSuite},   {"job_", MakeJobSuite},
    {"ledger_", MakeLedgerSuite},     {"roster_", MakeRosterSuite},
};

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(GRAPEVINE_SCENARIOS)) {
    if (entry.path().extension() != ".txt" || entry.path().stem() == "CMakeLists") continue;
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, PrintsWhatItSays) {
  std::unique_ptr<Suite> suite;
  for (const Kind& kind : kKinds) {
    if (GetParam().starts_with(kind.prefix)) suite = kind.make();
  }
  ASSERT_NE(suite, nullptr) << "no suite runs scenarios of this name";
  const std::filesystem::path path =
      std::filesystem::path(GRAPEVINE_SCENARIOS) / (GetParam() + ".txt");
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string replayed = Replay(text.str(), *suite);
  if (std::getenv("GRAPEVINE_REWRITE") != nullptr) {
    std::ofstream(path) << replayed;
  } else {
    EXPECT_EQ(text.str(), replayed);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ScenarioTest, testing::ValuesIn(ScenarioNames()),
                         [](const auto& test) { return test.param; });

class Echo final : public Suite {
 public:
  std::string Run(const Command& command) override {
    return command.name + " " + std::to_string(command.words.size()) + " " +
           std::to_string(command.Number("n")) + "\n";
  }
};

TEST(ReplayTest, ReplacesOutputAndKeepsTheRest) {
  Echo echo;
  EXPECT_EQ(Replay("# note\na x n=1\nb n=2\n----\nwrong\n\n\nc\n----\n", echo),
            "# note\na x n=1\nb n=2\n----\na 1 1\nb 0 2\n\n\nc\n----\nerror: c needs n=\n");
}

TEST(ReplayTest, ParsesMembers) {
  EXPECT_EQ(ParseCommand("plan join=1,3-5").Members("join"),
            (std::vector<api::MemberId>{1, 3, 4, 5}));
  EXPECT_TRUE(ParseCommand("plan").Members("join").empty());
  EXPECT_THROW(ParseCommand("plan join=x").Members("join"), std::runtime_error);
}

}  // namespace
}  // namespace grapevine::scenarios
