#include "operator/local/label_selector.h"

#include "gtest/gtest.h"

namespace grapevine::local {
namespace {

using nlohmann::json;

bool Selects(const char* selector, const json& labels) {
  const auto parsed = LabelSelector::Parse(selector);
  EXPECT_TRUE(parsed.ok()) << selector << ": " << parsed.status();
  return parsed.ok() && parsed->Matches({{"metadata", {{"labels", labels}}}});
}

TEST(LabelSelectorTest, SelectsByEqualityAndPresence) {
  const json labels = {{"app", "worker"}, {"grapevine.dev/slot", "3"}, {"empty", ""}};
  for (const char* selector : {"", " ", "app", "app=worker", "app==worker", "app = worker",
                               "app=worker,grapevine.dev/slot=3", "!gone", "gone!=x", "app!=x",
                               "empty=", "app, !gone ,empty"}) {
    EXPECT_TRUE(Selects(selector, labels)) << selector;
  }
  for (const char* selector :
       {"gone", "app=x", "!app", "app!=worker", "app=worker,gone", "app=", "empty=x", "gone="}) {
    EXPECT_FALSE(Selects(selector, labels)) << selector;
  }
}

TEST(LabelSelectorTest, TakesObjectsWithoutLabelsAsHavingNone) {
  for (const json& object : {json::object(), json{{"metadata", json::object()}},
                             json{{"metadata", {{"labels", nullptr}}}}}) {
    EXPECT_TRUE(LabelSelector::Parse("!app")->Matches(object));
    EXPECT_FALSE(LabelSelector::Parse("app")->Matches(object));
  }
}

TEST(LabelSelectorTest, RefusesWhatItCannotRead) {
  for (const char* selector :
       {",", "a,,b", "=x", "!=x", "!", "a in (b, c)", "a notin (b)", "a>3", "a=b=c", "a b"}) {
    EXPECT_EQ(LabelSelector::Parse(selector).status().code(), absl::StatusCode::kInvalidArgument)
        << selector;
  }
}

}  // namespace
}  // namespace grapevine::local
