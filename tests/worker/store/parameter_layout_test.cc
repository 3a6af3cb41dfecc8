#include "worker/store/parameter_layout.h"

#include <gtest/gtest.h>

namespace grapevine::store {
namespace {

std::vector<ParameterEntry> Entries() {
  return {{.name = "conv.weight", .shape = {4, 3, 3, 3}, .kind = ParameterKind::kWeight},
          {.name = "norm.scale", .shape = {4}, .kind = ParameterKind::kUndecayed},
          {.name = "norm.mean", .shape = {4}, .kind = ParameterKind::kStatistic},
          {.name = "linear.weight", .shape = {2, 4}, .kind = ParameterKind::kWeight},
          {.name = "linear.bias", .shape = {2}, .kind = ParameterKind::kUndecayed}};
}

TEST(ParameterLayoutTest, OrdersByKindAndKeepsTheOrderWithin) {
  const ParameterLayout layout = MakeParameterLayout(Entries());
  std::vector<std::string> names;
  size_t offset = 0;
  for (const ParameterEntry& entry : layout.entries) {
    names.push_back(entry.name);
    EXPECT_EQ(entry.offset, offset);
    offset += entry.size;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"conv.weight", "linear.weight", "norm.scale",
                                             "linear.bias", "norm.mean"}));
  EXPECT_EQ(layout.decayed_size, 108u + 8);
  EXPECT_EQ(layout.trained_size, 108u + 8 + 4 + 2);
  EXPECT_EQ(layout.size, offset);
}

TEST(ParameterLayoutTest, SizesAreRightWhereAKindIsMissing) {
  const ParameterLayout weights = MakeParameterLayout({Entries()[0]});
  EXPECT_EQ(weights.decayed_size, 108u);
  EXPECT_EQ(weights.trained_size, 108u);
  EXPECT_EQ(weights.size, 108u);
  const ParameterLayout statistics = MakeParameterLayout({Entries()[2]});
  EXPECT_EQ(statistics.decayed_size, 0u);
  EXPECT_EQ(statistics.trained_size, 0u);
  EXPECT_EQ(statistics.size, 4u);
  EXPECT_EQ(MakeParameterLayout({}).size, 0u);
}

TEST(ParameterLayoutTest, HashTellsNamesShapesAndKindsApart) {
  const uint64_t hash = MakeParameterLayout(Entries()).hash;
  EXPECT_EQ(MakeParameterLayout(Entries()).hash, hash);
  auto entries = Entries();
  entries[0].name = "conv.weights";
  EXPECT_NE(MakeParameterLayout(entries).hash, hash);
  entries = Entries();
  entries[3].shape = {4, 2};
  EXPECT_NE(MakeParameterLayout(entries).hash, hash);
  entries = Entries();
  entries[3].shape = {2, 4, 1};
  EXPECT_NE(MakeParameterLayout(entries).hash, hash);
  entries = Entries();
  entries[4].kind = ParameterKind::kStatistic;
  EXPECT_NE(MakeParameterLayout(entries).hash, hash);
  entries = Entries();
  entries.pop_back();
  EXPECT_NE(MakeParameterLayout(entries).hash, hash);
}

// Members of one job may run different builds: the value itself is part of the protocol.
TEST(ParameterLayoutTest, HashIsPinned) {
  EXPECT_EQ(MakeParameterLayout(Entries()).hash, 3560679898758154577u);
}

}  // namespace
}  // namespace grapevine::store
