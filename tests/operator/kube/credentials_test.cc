#include "operator/kube/credentials.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace grapevine::kube {
namespace {

using ::testing::HasSubstr;

class HandClock final : public Clock {
 public:
  Time Now() const override { return now; }
  Time now = Time(1000s);
};

class CredentialsTest : public ::testing::Test {
 protected:
  ~CredentialsTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(folder_);
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }

  HandClock clock_;
  const std::string folder_ = ::testing::TempDir() + "/credentials-" +
                              ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(CredentialsTest, ATokenFileIsReadAgainAndOutlivesAMissingOne) {
  const std::string path = Write("token", "first\n");
  Credentials credentials({.token = {.file = path}}, &clock_, nullptr);
  EXPECT_EQ(credentials.Get()->token, "first");
  Write("token", "second");
  EXPECT_EQ(credentials.Get()->token, "first");
  clock_.now += Credentials::kReread;
  EXPECT_EQ(credentials.Get()->token, "second");
  std::filesystem::remove(path);
  clock_.now += Credentials::kReread;
  EXPECT_EQ(credentials.Get()->token, "second");
}

TEST_F(CredentialsTest, AFileThatWasNeverThereIsAnError) {
  Credentials credentials({.token = {.file = folder_ + "/token"}}, &clock_, nullptr);
  const auto identity = credentials.Get();
  EXPECT_EQ(identity.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(identity.status().message()), HasSubstr(folder_ + "/token"));
  Write("token", "late");
  EXPECT_EQ(credentials.Get()->token, "late");
}

TEST_F(CredentialsTest, ARefusedTokenIsReadAgainAtOnceIfThereIsAnother) {
  Write("token", "old");
  Credentials credentials({.token = {.file = folder_ + "/token"}}, &clock_, nullptr);
  EXPECT_EQ(credentials.Get()->token, "old");
  EXPECT_FALSE(credentials.OnUnauthorized("old"));
  Write("token", "new");
  EXPECT_TRUE(credentials.OnUnauthorized("old"));
  EXPECT_EQ(credentials.Get()->token, "new");
  EXPECT_TRUE(credentials.OnUnauthorized("old"));  // that was before
  Credentials fixed({.token = {.text = "x"}}, &clock_, nullptr);
  EXPECT_EQ(fixed.Get()->token, "x");
  EXPECT_FALSE(fixed.OnUnauthorized("x"));
}

TEST_F(CredentialsTest, OnlyAnotherCertificateNeedsOtherConnections) {
  const std::string authority = Write("ca", "one");
  Credentials credentials(
      {.authority = {.file = authority}, .token = {.file = Write("token", "t")}}, &clock_, nullptr);
  const uint64_t first = credentials.Get()->tls_version;
  Write("token", "u");
  clock_.now += Credentials::kReread;
  EXPECT_EQ(credentials.Get()->tls_version, first);
  Write("ca", "two");
  clock_.now += Credentials::kReread;
  EXPECT_EQ(credentials.Get()->tls_version, first + 1);
  EXPECT_EQ(credentials.Get()->authority, "two");
}

constexpr char kVersion[] = "client.authentication.k8s.io/v1";

std::string Printed(nlohmann::json status) {
  return nlohmann::json(
             {{"apiVersion", kVersion}, {"kind", "ExecCredential"}, {"status", std::move(status)}})
      .dump();
}

TEST_F(CredentialsTest, APluginRunsOnceUntilItsAnswerExpiresOrIsRefused) {
  int runs = 0;
  std::string expires = "2200-01-01T00:00:00Z";
  Access access{
      .server = "https://west:1",
      .exec = ExecPlugin{.command = "p", .api_version = kVersion, .provide_cluster = true}};
  Credentials credentials(access, &clock_, [&](const ExecPlugin&, const std::string& info) {
    const nlohmann::json told = nlohmann::json::parse(info);
    EXPECT_EQ(told["kind"], "ExecCredential");
    EXPECT_EQ(told["spec"]["cluster"]["server"], "https://west:1");
    return Printed({{"token", "t" + std::to_string(++runs)}, {"expirationTimestamp", expires}});
  });
  EXPECT_EQ(credentials.Get()->token, "t1");
  EXPECT_EQ(credentials.Get()->token, "t1");
  EXPECT_TRUE(credentials.OnUnauthorized("t1"));
  expires = "2001-01-01T00:00:00Z";
  EXPECT_EQ(credentials.Get()->token, "t2");
  EXPECT_EQ(credentials.Get()->token, "t3");
}

TEST_F(CredentialsTest, APluginThatFailsSaysWhatToDo) {
  Access access{
      .exec = ExecPlugin{.command = "gke", .api_version = kVersion, .install_hint = "install gke"}};
  Credentials credentials(access, &clock_, [](const ExecPlugin&, const std::string&) {
    return absl::StatusOr<std::string>(absl::NotFoundError("no such program"));
  });
  const auto identity = credentials.Get();
  EXPECT_EQ(identity.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(identity.status().message()),
              HasSubstr("gke failed: no such program; install gke"));
}

TEST_F(CredentialsTest, WhatAPluginPrintsIsCheckedWhole) {
  for (const std::string& bad :
       {std::string("x"), std::string("[]"), std::string("{}"), Printed(3), Printed({}),
        Printed({{"token", 3}}), Printed({{"clientCertificateData", "c"}}),
        Printed({{"token", "t"}, {"expirationTimestamp", "soon"}})}) {
    EXPECT_EQ(ReadPluginAnswer(bad, kVersion).status().code(), absl::StatusCode::kUnauthenticated)
        << bad;
  }
  EXPECT_FALSE(ReadPluginAnswer(Printed({{"token", "t"}}), "another/v1").ok());
  const auto both =
      ReadPluginAnswer(Printed({{"clientCertificateData", "c"}, {"clientKeyData", "k"}}), kVersion);
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->certificate, "c");
  EXPECT_EQ(both->key, "k");
}

}  // namespace
}  // namespace grapevine::kube
