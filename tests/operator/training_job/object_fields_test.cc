#include "operator/training_job/object_fields.h"

#include "gtest/gtest.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

const json kObject = {{"text", "t"},
                      {"number", 7},
                      {"list", {7, {{"type", "a"}, {"n", 1}}, {{"type", "b"}, {"n", 2}}}},
                      {"inner", {{"x", 1}}}};

TEST(ObjectFields, WhatIsNotThereOrOfAnotherTypeIsEmpty) {
  EXPECT_EQ(Text(kObject, "text"), "t");
  EXPECT_EQ(Text(kObject, "number"), "");
  EXPECT_EQ(Text(kObject, "nothing"), "");
  EXPECT_EQ(Text(json(7), "text"), "");
  EXPECT_EQ(Child(kObject, "number"), 7);
  EXPECT_TRUE(Child(kObject, "nothing").is_null());
  EXPECT_TRUE(Child(json::array({1}), "x").is_null());
  EXPECT_EQ(Entry(kObject, "list", "type", "b")["n"], 2);
  EXPECT_TRUE(Entry(kObject, "list", "type", "c").is_null());
  EXPECT_TRUE(Entry(kObject, "number", "type", "a").is_null());
}

TEST(ObjectFields, KeepTakesTheRestAndHarmsNothingElse) {
  json object = kObject;
  Keep(object, {"number", "nothing"});
  EXPECT_EQ(object, json({{"number", 7}}));
  json list = {1, 2};
  Keep(list, {"number"});
  EXPECT_EQ(list, json({1, 2}));
}

TEST(ObjectFields, InnerIsAMappingOrAList) {
  json object = kObject;
  ASSERT_NE(Inner(object, "inner"), nullptr);
  EXPECT_EQ((*Inner(object, "inner"))["x"], 1);
  EXPECT_NE(Inner(object, "list"), nullptr);
  EXPECT_EQ(Inner(object, "number"), nullptr);
  EXPECT_EQ(Inner(object, "nothing"), nullptr);
}

}  // namespace
}  // namespace grapevine::training_job
