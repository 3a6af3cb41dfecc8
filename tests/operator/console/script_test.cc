#include "operator/console/script.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::console {
namespace {

using ::testing::HasSubstr;

TEST(ParseScript, ReadsEveryKindOfEvent) {
  const auto events = ParseScript("30%:scale=6, 50%:kill=1,20s:slow=1x10,1.5s:pause=2x20");
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 4u);
  EXPECT_EQ((*events)[0].due.kind, Due::Kind::kFraction);
  EXPECT_DOUBLE_EQ((*events)[0].due.fraction, 0.3);
  EXPECT_EQ((*events)[0].action.Text(), "scale=6");
  EXPECT_EQ((*events)[1].action.Text(), "kill=1");
  EXPECT_EQ((*events)[1].text, "50%:kill=1");
  EXPECT_EQ((*events)[2].due.elapsed, 20s);
  EXPECT_EQ((*events)[2].action.Text(), "slow=1x10");
  EXPECT_EQ((*events)[3].due.elapsed, 1500ms);
  EXPECT_EQ((*events)[3].action.Text(), "pause=2x20");
}

TEST(ParseScript, EmptyMeansNone) {
  EXPECT_TRUE(ParseScript("")->empty());
  EXPECT_TRUE(ParseScript("  ")->empty());
}

TEST(ParseScript, NamesEveryWrongEntryAndWhatIsAllowed) {
  const auto events = ParseScript("30%:scale=6,101%:kill=1,20:kill=1,20s:dance=1");
  ASSERT_FALSE(events.ok());
  EXPECT_EQ(events.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(events.status().message());
  EXPECT_THAT(message, HasSubstr("'101%:kill=1', '20:kill=1', '20s:dance=1'"));
  EXPECT_THAT(message, HasSubstr("T:slow=NxF"));
  for (const char* bounds : {"from 0s to 604800s", "from 0% to 100%", "N from 1 to 1000",
                             "F from 1 to 1000", "SECONDS from 0 to 604800"}) {
    EXPECT_THAT(message, HasSubstr(bounds));
  }
  EXPECT_THAT(message, ::testing::Not(HasSubstr("scale=6,")));
}

TEST(ParseScript, RefusesEdges) {
  for (const char* text : {"20s:scale=0", "20s:kill=0", "20s:kill=-1", "20s:kill=1.5", "20s:slow=1",
                           "20s:slow=1x0.5", "20s:slow=1x10x2", "-1s:kill=1", "nan%:kill=1",
                           "infs:kill=1", "20s:kill=", "20s", ":kill=1", "20s:kill=1,",
                           "20s:scale=1001", "20s:pause=1x-1", "20s:kill=99999999999999999999"}) {
    EXPECT_FALSE(ParseScript(text).ok()) << text;
  }
}

TEST(Due, IsReachedAtItsTimeOrShare) {
  const Due time{.kind = Due::Kind::kElapsed, .elapsed = 2s};
  EXPECT_FALSE(time.Reached(1999ms, 1));
  EXPECT_TRUE(time.Reached(2s, 0));
  const Due share{.kind = Due::Kind::kFraction, .fraction = 0.5};
  EXPECT_FALSE(share.Reached(3600s, 0.49));
  EXPECT_TRUE(share.Reached(0s, 0.5));
}

}  // namespace
}  // namespace grapevine::console
