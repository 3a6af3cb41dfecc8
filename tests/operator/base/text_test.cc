#include "operator/base/text.h"

#include "gtest/gtest.h"

namespace grapevine {
namespace {

TEST(Text, ABeginningEndsBetweenCharacters) {
  EXPECT_EQ(Beginning("ab", 2), "ab");
  EXPECT_EQ(Beginning("abc", 2), "ab");
  EXPECT_EQ(Beginning("a\u00e9b", 2), "a");  // the second character has two bytes
  EXPECT_EQ(Beginning("a\u00e9b", 3), "a\u00e9");
  EXPECT_EQ(Beginning("\u00e9", 1), "");
  EXPECT_EQ(Beginning("abc", 0), "");
}

TEST(Text, OneIsNotCountedAsMany) {
  EXPECT_EQ(Counted(0, "pod"), "0 pods");
  EXPECT_EQ(Counted(1, "pod"), "1 pod");
  EXPECT_EQ(Counted(2, "pod"), "2 pods");
}

}  // namespace
}  // namespace grapevine
