#include "worker/transport/grpc/hello.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace grapevine::transport {
namespace {

using ::testing::HasSubstr;

Hello Example() {
  return {.sender = {.job_uid = "4a2f-uid", .member = 7, .layout_hash = 0xfeedfacecafebeef},
          .receiver = 0x1122334455667788};
}

TEST(Hello, SurvivesTheWire) {
  const absl::StatusOr<Hello> decoded = DecodeHello(EncodeHello(Example()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, Example());
}

TEST(Hello, TheLongestUidSurvivesAndALongerOneIsRefused) {
  Hello hello = Example();
  hello.sender.job_uid = std::string(kMaxJobUidBytes, 'u');
  std::vector<std::byte> bytes = EncodeHello(hello);
  EXPECT_TRUE(DecodeHello(bytes).ok());
  bytes.push_back(std::byte{'u'});
  EXPECT_EQ(DecodeHello(bytes).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Hello, CutAnywhereItIsRefused) {
  const std::vector<std::byte> bytes = EncodeHello(Example());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(DecodeHello(std::span(bytes).first(length)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << length;
  }
}

TEST(Hello, NoiseIsRefused) {
  std::mt19937 random(1);
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::byte> bytes(random() % 200);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    EXPECT_FALSE(DecodeHello(bytes).ok());
  }
}

TEST(Hello, AnotherVersionIsReadNoFurther) {
  Hello hello = Example();
  hello.version = 9;
  std::vector<std::byte> bytes = EncodeHello(hello);
  bytes.resize(8);
  const absl::StatusOr<Hello> decoded = DecodeHello(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_THAT(CheckHello(*decoded, Example().sender).message(),
              HasSubstr("protocol version 9, this end speaks 1"));
}

TEST(Hello, TheFirstDifferenceIsNamed) {
  const Hello good = Example();
  const Identity self{.job_uid = good.sender.job_uid,
                      .member = good.receiver,
                      .layout_hash = good.sender.layout_hash};
  EXPECT_TRUE(CheckHello(good, self).ok());

  Hello foreign = good;
  foreign.sender.job_uid = "other";
  EXPECT_THAT(CheckHello(foreign, self).message(), HasSubstr("job 'other'"));
  Hello misled = good;
  misled.receiver = 5;
  EXPECT_THAT(CheckHello(misled, self).message(), HasSubstr("meant for member 5"));
  Hello other_model = good;
  other_model.sender.layout_hash = 1;
  EXPECT_THAT(CheckHello(other_model, self).message(), HasSubstr("layout hash 0000000000000001"));
  Hello nobody = good;
  nobody.sender.member = 0;
  EXPECT_THAT(CheckHello(nobody, self).message(), HasSubstr("member 0"));
  Hello myself = good;
  myself.sender.member = self.member;
  EXPECT_FALSE(CheckHello(myself, self).ok());
}

}  // namespace
}  // namespace grapevine::transport
