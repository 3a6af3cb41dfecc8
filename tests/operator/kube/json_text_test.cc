#include "operator/kube/json_text.h"

#include <string>

#include "gtest/gtest.h"

namespace grapevine::kube {
namespace {

using nlohmann::json;

std::string Nested(int levels) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += i % 2 == 0 ? "[" : "{\"a\": ";
  text += "1";
  for (int i = levels - 1; i >= 0; --i) text += i % 2 == 0 ? "]" : "}";
  return text;
}

TEST(JsonText, NestsAsDeepAsAnApiServerTakes) {
  EXPECT_TRUE(ParseJson(Nested(kMostLevels)).is_array());
  EXPECT_TRUE(ParseJson(Nested(kMostLevels + 1)).is_discarded());
  EXPECT_TRUE(ParseJson(std::string(8 << 20, '[')).is_discarded());
}

TEST(JsonText, BracketsInStringsAreNoLevels) {
  const std::string brackets(2 * kMostLevels, '[');
  EXPECT_EQ(ParseJson("[\"\\\"" + brackets + "\\\\\", 1]"),
            json::array({"\"" + brackets + "\\", 1}));
}

TEST(JsonText, WhatIsNoJsonIsDiscarded) {
  for (const char* text : {"", "{", "]", "\"", "\"\\", "[1,]", "nan", "{}{}", "\xC3"}) {
    EXPECT_TRUE(ParseJson(text).is_discarded()) << text;
  }
}

}  // namespace
}  // namespace grapevine::kube
