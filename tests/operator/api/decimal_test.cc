#include "operator/api/decimal.h"

#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace grapevine::api {
namespace {

TEST(DecimalTest, WritesTheShortestText) {
  EXPECT_EQ(FormatDecimal(0.025), "0.025");
  EXPECT_EQ(FormatDecimal(2), "2");
  EXPECT_EQ(FormatDecimal(-0.5), "-0.5");
  EXPECT_EQ(FormatDecimal(0), "0");
}

TEST(DecimalTest, ReadsBackWhatItWrote) {
  std::mt19937_64 rng(7);
  std::uniform_real_distribution<double> exponent(-300, 300);
  for (int i = 0; i < 2000; ++i) {
    const double value = std::pow(10, exponent(rng)) * (i % 2 == 0 ? 1 : -1);
    ASSERT_EQ(ParseDecimal(FormatDecimal(value)), value);
  }
  for (double value : {std::numeric_limits<double>::max(), std::numeric_limits<double>::min()}) {
    EXPECT_EQ(ParseDecimal(FormatDecimal(value)), value);
  }
}

TEST(DecimalTest, TakesTheUsualForms) {
  EXPECT_EQ(ParseDecimal("3"), 3);
  EXPECT_EQ(ParseDecimal("+0.5"), 0.5);
  EXPECT_EQ(ParseDecimal(".5"), 0.5);
  EXPECT_EQ(ParseDecimal("5."), 5);
  EXPECT_EQ(ParseDecimal("-1e-4"), -1e-4);
  EXPECT_EQ(ParseDecimal("1E+2"), 100);
}

TEST(DecimalTest, RefusesEverythingElse) {
  for (const char* text : {"", " ", "1 ", " 1", "one", "inf", "nan", "-inf", "0x10", "1e", "1,5",
                           "+-1", "--1", "1.2.3", "1e999", "1_000", "."}) {
    EXPECT_EQ(ParseDecimal(text), std::nullopt) << '"' << text << '"';
  }
}

TEST(DecimalTest, RefusesMoreTextThanAnyNumberNeeds) {
  EXPECT_EQ(ParseDecimal("0." + std::string(kMaxDecimalLength - 3, '0') + "1"), 1e-30);
  EXPECT_EQ(ParseDecimal("0." + std::string(kMaxDecimalLength - 2, '0') + "1"), std::nullopt);
}

}  // namespace
}  // namespace grapevine::api
