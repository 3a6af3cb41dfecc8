#include "operator/api/yaml.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::api {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json Parsed(std::string_view text) {
  const absl::StatusOr<json> value = ParseYaml(text);
  EXPECT_TRUE(value.ok()) << text << ": " << value.status();
  return value.value_or(json("failed"));
}

void ExpectRefused(std::string_view text, const char* why) {
  const absl::StatusOr<json> value = ParseYaml(text);
  ASSERT_EQ(value.status().code(), absl::StatusCode::kInvalidArgument)
      << text.substr(0, 200) << " gave " << (value.ok() ? value->dump().substr(0, 200) : "");
  EXPECT_THAT(std::string(value.status().message()), HasSubstr(why));
}

TEST(YamlTest, TypesPlainScalarsByTheCoreSchema) {
  EXPECT_EQ(Parsed("[null, Null, ~, , true, TRUE, False]"),
            json::parse("[null, null, null, null, true, true, false]"));
  EXPECT_EQ(Parsed("[0, -3, +7, 0x1F, 0o17, 012]"), json::parse("[0, -3, 7, 31, 15, 12]"));
  EXPECT_EQ(Parsed("[0.5, .5, 5., -1e-4, +1.5E2]"), json::parse("[0.5, 0.5, 5.0, -1e-4, 150.0]"));
  EXPECT_EQ(Parsed("[yes, no, on, 1_000, 0b1, 1:30, .inf, .nan, 2024-05-01]"),
            json::parse(R"(["yes","no","on","1_000","0b1","1:30",".inf",".nan","2024-05-01"])"));
}

TEST(YamlTest, KeepsTheDifferenceOfIntegersAndFloats) {
  EXPECT_TRUE(Parsed("3").is_number_integer());
  EXPECT_TRUE(Parsed("3.0").is_number_float());
}

TEST(YamlTest, LeavesQuotedAndTaggedScalarsStrings) {
  EXPECT_EQ(Parsed(R"(["0.5", '3', "true", "", "~", !!str 3])"),
            json::parse(R"(["0.5", "3", "true", "", "~", "3"])"));
  EXPECT_EQ(Parsed("|\n  3\n"), json("3\n"));
}

TEST(YamlTest, LeavesIntegersBeyondSixtyFourBitsNumbers) {
  EXPECT_EQ(Parsed("9223372036854775807"), json(INT64_MAX));
  EXPECT_EQ(Parsed("-9223372036854775808"), json(INT64_MIN));
  EXPECT_TRUE(Parsed("9223372036854775808").is_number_float());
}

TEST(YamlTest, ReadsJobsInBothStyles) {
  const json expected = json::parse(R"({"spec": {"training": {"epochs": 3, "lr": "0.025"}}})");
  EXPECT_EQ(Parsed("spec: {training: {epochs: 3, lr: \"0.025\"}}"), expected);
  EXPECT_EQ(Parsed("# a job\nspec:\n  training:\n    epochs: 3\n    lr: '0.025'\n"), expected);
  EXPECT_EQ(Parsed(expected.dump()), expected);
}

TEST(YamlTest, TakesNothingAsNull) {
  EXPECT_EQ(Parsed(""), json());
  EXPECT_EQ(Parsed("# only a comment\n"), json());
}

TEST(YamlTest, FollowsAliases) {
  EXPECT_EQ(Parsed("a: &x {k: 1}\nb: *x\n"), json::parse(R"({"a": {"k": 1}, "b": {"k": 1}})"));
}

TEST(YamlTest, SaysWhereItDoesNotParse) {
  ExpectRefused("a: [1, 2\nb: 3\n", "line");
  ExpectRefused("a: b: c", "line 1");
  ExpectRefused("a: *unknown", "line 1");
  ExpectRefused("\ta: 1", "line 1");
  ExpectRefused("a: \"\\ud800\"", "line 1");
}

TEST(YamlTest, RefusesKeysThatAreAmbiguous) {
  ExpectRefused("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key \"a\" is there twice");
  ExpectRefused("1: x\n'1': y\n", "twice");
  ExpectRefused("{[1, 2]: x}", "a key that is no scalar");
}

TEST(YamlTest, RefusesForeignTagsAndSecondDocuments) {
  ExpectRefused("a: !python/object:os.system rm", "tag");
  ExpectRefused("a: 1\n---\nb: 2\n", "several YAML documents");
}

TEST(YamlTest, BoundsTheText) { ExpectRefused(std::string((1 << 20) + 1, ' '), "bytes"); }

TEST(YamlTest, BoundsTheDepth) {
  EXPECT_TRUE(ParseYaml(std::string(60, '[') + std::string(60, ']')).ok());
  ExpectRefused(std::string(70, '[') + std::string(70, ']'), "64 levels");
  for (char nested : {'[', '{'}) EXPECT_FALSE(ParseYaml(std::string(200'000, nested)).ok());
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  EXPECT_FALSE(ParseYaml(dashes).ok());
}

TEST(YamlTest, BoundsWhatAliasesExpandTo) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) text += "*a" + std::to_string(i - 1) + (j < 8 ? ", " : "]\n");
  }
  ExpectRefused(text, "100000 values");
}

TEST(YamlTest, BoundsTheTextThatAliasesExpandTo) {
  const std::string long_text(200'000, 'x');
  std::string aliases;
  for (int i = 0; i < 30; ++i) aliases += "*a, ";
  ExpectRefused("a: &a " + long_text + "\nb: [" + aliases + "]\n", "too much text");
  ExpectRefused("a: &a {? " + long_text + " : 1}\nb: [" + aliases + "]\n", "too much text");
}

TEST(YamlTest, BoundsAliasesToThemselves) { EXPECT_FALSE(ParseYaml("a: &x [*x]\n").ok()); }

TEST(YamlTest, ReadsBytesThatAreNoTextWithoutHarm) {
  for (const char* text :
       {"\xff\xfe\x41", "a: \xc3\x28", "a: \"\\xff\"", "\x01", "a: \"\\0\"", "%YAML 9.9\n---\na",
        "? ", "- - -", "&a", "*", "!", "|", ">", "@", "`"}) {
    const absl::StatusOr<json> value = ParseYaml(text);
    if (!value.ok()) continue;
    EXPECT_NO_THROW(static_cast<void>(value->dump())) << text;
  }
}

}  // namespace
}  // namespace grapevine::api
