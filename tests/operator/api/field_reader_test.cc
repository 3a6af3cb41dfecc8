#include "operator/api/field_reader.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::api {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(FieldReaderTest, ReadsEachTypeAndLeavesTheRestAlone) {
  const json value = {
      {"count", 3}, {"rate", "0.5"}, {"on", true}, {"name", "x"}, {"none", nullptr}};
  std::vector<Violation> violations;
  FieldReader reader(value, "spec", &violations);
  int count = 0;
  int absent = 7;
  double rate = 0;
  bool on = false;
  std::string name;
  EXPECT_TRUE(reader.Integer("count", count, 1, 5));
  EXPECT_TRUE(reader.Decimal("rate", rate, {.min = 0, .max = 1}));
  EXPECT_TRUE(reader.Boolean("on", on));
  EXPECT_TRUE(reader.String("name", name, 10));
  EXPECT_FALSE(reader.Integer("absent", absent, 1, 5));
  EXPECT_FALSE(reader.Integer("none", absent, 1, 5));
  reader.Finish();
  EXPECT_THAT(violations, IsEmpty());
  EXPECT_EQ(count, 3);
  EXPECT_EQ(rate, 0.5);
  EXPECT_TRUE(on);
  EXPECT_EQ(name, "x");
  EXPECT_EQ(absent, 7);
}

TEST(FieldReaderTest, RefusesIntegersThatAreNone) {
  for (const json& wrong : {json(3.0), json("3"), json(true), json::array(), json::object(),
                            json(0), json(6), json(UINT64_MAX), json(INT64_MIN)}) {
    const json value = {{"count", wrong}};
    std::vector<Violation> violations;
    FieldReader reader(value, "spec", &violations);
    int count = 2;
    EXPECT_FALSE(reader.Integer("count", count, 1, 5)) << wrong;
    EXPECT_THAT(violations,
                ElementsAre(Violation{"spec.count", wrong.dump(), "an integer from 1 to 5"}));
    EXPECT_EQ(count, 2);
  }
}

TEST(FieldReaderTest, TakesDecimalsAsNumbersAndAsStrings) {
  for (const json& right : {json(0.5), json("0.5"), json(1), json("1"), json("1e-3")}) {
    const json value = {{"rate", right}};
    std::vector<Violation> violations;
    double rate = 0;
    EXPECT_TRUE(FieldReader(value, "", &violations)
                    .Decimal("rate", rate, {.min = 0, .max = 1, .above_min = true}))
        << right;
  }
  for (const json& wrong : {json(0), json("0"), json(1.01), json("-0.5"), json("half"), json(true),
                            json("nan"), json("1e400"), json::array({0.5})}) {
    const json value = {{"rate", wrong}};
    std::vector<Violation> violations;
    double rate = 7;
    EXPECT_FALSE(FieldReader(value, "", &violations)
                     .Decimal("rate", rate, {.min = 0, .max = 1, .above_min = true}))
        << wrong;
    EXPECT_THAT(violations,
                ElementsAre(Violation{"rate", wrong.dump(), "a number above 0 and at most 1"}));
    EXPECT_EQ(rate, 7);
  }
}

TEST(FieldReaderTest, NamesWhatNobodyAskedFor) {
  const json value = {{"epoch", 3}, {"zebra", {{"a", 1}}}};
  std::vector<Violation> violations;
  FieldReader reader(value, "spec.training", &violations);
  reader.Raw("epochs");
  reader.Raw("batchSize");
  reader.Finish();
  EXPECT_THAT(violations, ElementsAre(Violation{"spec.training.epoch", "3",
                                                "no such field; did you mean \"epochs\"?"},
                                      Violation{"spec.training.zebra", "{\"a\":1}",
                                                "no such field; there are epochs, batchSize"}));
}

TEST(FieldReaderTest, OfVeryMuchThatIsWrongItSaysOnlySoMuch) {
  json value = json::object();
  for (size_t i = 0; i < 3 * kMostViolations; ++i) value["x" + std::to_string(i)] = 1;
  std::vector<Violation> violations;
  FieldReader reader(value, "spec", &violations);
  for (const auto& [name, each] : value.items()) {
    if (name.ends_with('7')) reader.Report(name.c_str(), "nothing");
  }
  reader.Finish();
  EXPECT_EQ(violations.size(), kMostViolations);
}

TEST(FieldReaderTest, TakesAbsentMappingsAsEmptyAndRefusesOtherThings) {
  std::vector<Violation> violations;
  const json value = {{"a", nullptr}, {"b", 3}};
  FieldReader reader(value, "spec", &violations);
  reader.Child("a").Finish();
  reader.Child("absent").Finish();
  EXPECT_THAT(violations, IsEmpty());
  reader.Child("b").Finish();
  EXPECT_THAT(violations, ElementsAre(Violation{"spec.b", "3", "a mapping"}));
}

TEST(FieldReaderTest, BoundsLists) {
  const json value = {{"few", {1, 2}}, {"many", {1, 2, 3}}, {"none", "x"}};
  std::vector<Violation> violations;
  FieldReader reader(value, "spec", &violations);
  std::vector<std::string> paths;
  const auto read = [&](const json&, const std::string& path) { paths.push_back(path); };
  EXPECT_TRUE(reader.List("few", 2, read));
  EXPECT_FALSE(reader.List("many", 2, read));
  EXPECT_FALSE(reader.List("none", 2, read));
  EXPECT_THAT(paths, ElementsAre("spec.few[0]", "spec.few[1]"));
  EXPECT_EQ(violations.size(), 2u);
}

TEST(FoundTest, IsShort) {
  EXPECT_EQ(Found(nullptr), "nothing");
  EXPECT_EQ(Found("x"), "\"x\"");
  EXPECT_EQ(Found(std::string(10'000, 'x')).size(), 60u);
  EXPECT_THAT(Found(std::string(10'000, 'x')), HasSubstr("..."));
  EXPECT_EQ(Found("\xff\xfe"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(FoundTest, IsNotCutWithinACharacter) {
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "\xC3\xA4";
  for (const std::string& prefix : {std::string(), std::string("x")}) {
    const std::string found = Found(prefix + umlauts);
    EXPECT_NO_THROW(static_cast<void>(json(found).dump()));
  }
}

TEST(NearestTest, FindsSlipsOfThePenAlone) {
  const std::vector<std::string> known{"epochs", "batchSize", "seed", "on"};
  EXPECT_EQ(Nearest("epoch", known), "epochs");
  EXPECT_EQ(Nearest("batchsize", known), "batchSize");
  EXPECT_EQ(Nearest("bathcSize", known), "batchSize");
  EXPECT_EQ(Nearest("sede", known), "seed");
  EXPECT_EQ(Nearest("replicas", known), "");
  EXPECT_EQ(Nearest("", known), "");
  EXPECT_EQ(Nearest(std::string(1 << 20, 'e'), known), "");
}

}  // namespace
}  // namespace grapevine::api
