#include "operator/console/run_view.h"

#include <algorithm>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::console {
namespace {

using ::testing::HasSubstr;

RunView Example(int members, int events) {
  RunView view{.job = "digits", .state = "Running", .elapsed_seconds = 12, .remaining_seconds = 75};
  view.fraction = 0.25;
  view.data_epochs = 1.5;
  view.total_data_epochs = 6;
  view.samples_per_second = 1234.5;
  view.loss = 0.5;
  view.accuracy = 0.9725;
  view.desired_workers = members;
  for (int i = 0; i < members; ++i) {
    view.members.push_back({.id = static_cast<uint64_t>(i + 1),
                            .pod = fmt::format("digits-{}-0", i),
                            .side = i % 2 ? "passive" : "active",
                            .state = "training",
                            .steps = 1000 + i});
  }
  for (int i = 0; i < events; ++i) view.events.push_back(fmt::format("event number {}", i));
  return view;
}

std::string Joined(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += line.text + "\n";
  return text;
}

TEST(Render, ShowsEachMemberAndTheJob) {
  const std::string text = Joined(Render(Example(3, 2), 100, 30));
  EXPECT_THAT(text, HasSubstr("digits  Running  0:12"));
  EXPECT_THAT(text, HasSubstr(" 25.0%  1:15 left"));
  EXPECT_THAT(text,
              HasSubstr("data epoch 1.50/6   1234 samples/s   loss 0.5000   accuracy 97.25%"));
  EXPECT_THAT(text, HasSubstr("digits-2-0"));
  EXPECT_THAT(text, HasSubstr("event number 1"));
  EXPECT_THAT(text, HasSubstr("q stop"));
}

TEST(Render, CarriesAnEventThatIsTooWideOnToTheNextLine) {
  RunView view = Example(1, 3);
  view.events.push_back("  12.0s  member 1 left: its pod is being deleted");
  const std::string text = Joined(Render(view, 40, 24));
  EXPECT_THAT(text, HasSubstr("event number 2\n"
                              "  12.0s  member 1 left: its pod is being\n"
                              "         deleted\n"));
}

TEST(Render, FitsAnyWindow) {
  for (int members : {0, 1, 6, 100}) {
    for (int events : {0, 3, 50}) {
      for (const auto& [width, height] :
           {std::pair{80, 24}, {120, 50}, {40, 10}, {10, 3}, {1, 1}}) {
        const auto lines = Render(Example(members, events), width, height);
        EXPECT_LE(lines.size(), static_cast<size_t>(height));
        for (const Line& line : lines) EXPECT_LE(line.text.size(), static_cast<size_t>(width));
      }
    }
  }
}

TEST(Render, KeepsNewestEventsAndCountsMembersWithoutRoom) {
  const std::string text = Joined(Render(Example(100, 50), 80, 24));
  EXPECT_THAT(text, HasSubstr("event number 49"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("event number 0\n")));
  EXPECT_THAT(text, HasSubstr("more"));
  EXPECT_THAT(text, HasSubstr("q stop"));
}

TEST(Render, KeepsEveryColumnOfAMemberAtEightyColumns) {
  RunView view = Example(2, 0);
  view.members[1].exchanges = 12345678;
  EXPECT_THAT(Joined(Render(view, 80, 24)), HasSubstr(" 12345678\n"));
}

TEST(ProgressLine, SaysWhatIsNotKnownYet) {
  const std::string line = ProgressLine(RunView{});
  EXPECT_THAT(line, HasSubstr("loss -"));
  EXPECT_THAT(line, HasSubstr("accuracy -"));
  EXPECT_THAT(line, HasSubstr("--:-- left"));
}

}  // namespace
}  // namespace grapevine::console
