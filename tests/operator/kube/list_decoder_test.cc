#include "operator/kube/list_decoder.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::kube {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Decoded {
  std::vector<json> items;
  absl::StatusOr<json> list;
};

Decoded Decode(std::string_view bytes, size_t cut) {
  Decoded result{.list = absl::UnknownError("")};
  ListDecoder decoder([&](json item) { result.items.push_back(std::move(item)); });
  absl::Status status = decoder.Feed(bytes.substr(0, cut));
  if (status.ok()) status = decoder.Feed(bytes.substr(cut));
  result.list = status.ok() ? decoder.Finish() : absl::StatusOr<json>(status);
  return result;
}

const char kList[] =
    "{\"kind\":\"PodList\", \"metadata\" : "
    "{\"resourceVersion\":\"7\",\"items\":[1],\"x\":\"]}\\\"\"},"
    "\"items\" : [ {\"a\":\"[{\\\"\\\\\", \"items\":[{\"b\":[]}]} ,\n{\"c\":{}}, "
    "{}],\"z\":[[],{}]}";

TEST(ListDecoder, ReadsTheSameItemsWhereverTheyAreCut) {
  const std::string bytes = kList;
  const json whole = json::parse(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const Decoded decoded = Decode(bytes, cut);
    ASSERT_TRUE(decoded.list.ok()) << cut << decoded.list.status();
    ASSERT_EQ(json(decoded.items), whole["items"]) << cut;
    json rest = whole;
    rest["items"] = json::array();
    ASSERT_EQ(*decoded.list, rest) << cut;
  }
}

TEST(ListDecoder, AnEmptyListHasNoItems) {
  for (const char* bytes :
       {"{\"kind\":\"PodList\",\"items\":[]}", "{\"items\":null,\"kind\":\"PodList\"}",
        "{\"kind\":\"PodList\"}", " {\"items\": [ \n] ,\"kind\":\"PodList\"} "}) {
    const Decoded decoded = Decode(bytes, 1);
    EXPECT_TRUE(decoded.list.ok()) << bytes << decoded.list.status();
    EXPECT_THAT(decoded.items, IsEmpty());
  }
}

// Taken for an empty list it would be the news that every pod is gone.
TEST(ListDecoder, AnotherObjectIsNoListOfNothing) {
  for (const char* bytes :
       {"{}", "{\"ok\":true}", "{\"items\":[]}", "{\"kind\":\"Pod\"}", "{\"kind\":7,\"items\":[]}",
        "[]", "null", "", "<html></html>", "{\"kind\":\"PodList\"}{\"kind\":\"PodList\"}"}) {
    EXPECT_FALSE(Decode(bytes, 0).list.ok()) << bytes;
  }
}

TEST(ListDecoder, WhatWasCutOffIsNoList) {
  const std::string bytes = kList;
  for (size_t end = 0; end < bytes.size(); ++end) {
    EXPECT_FALSE(Decode(bytes.substr(0, end), end / 2).list.ok()) << end;
  }
}

TEST(ListDecoder, ItemsThatAreNoObjectsAreRefused) {
  for (const char* bytes : {"{\"items\":[1]}", "{\"items\":[\"a\"]}", "{\"items\":[[]]}",
                            "{\"items\":[{},null]}", "[]", "<html>"}) {
    EXPECT_FALSE(Decode(bytes, 0).list.ok()) << bytes;
  }
}

TEST(ListDecoder, AnItemWithoutAnEndIsBounded) {
  ListDecoder decoder([](const json&) {});
  absl::Status status = decoder.Feed("{\"items\":[{\"a\":\"");
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 100 && status.ok(); ++i) status = decoder.Feed(piece);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace grapevine::kube
