// What only a real API server can show: TLS, credentials, permissions, size.

#include <memory>
#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"
#include "tests/cluster/shared_control_plane.h"

namespace grapevine::kube {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const controller::Resource kConfigMaps{"", "v1", "configmaps"};
const RealClock kClock;

class RealServer : public ::testing::Test {
 protected:
  static Access Admin() {
    const auto access = FindAccess({.kubeconfig = cluster::SharedControlPlane().kubeconfig()});
    EXPECT_TRUE(access.ok()) << access.status();
    return *access;
  }
  static absl::Status Try(const Access& access) {
    HttpApiClient client(access, &kClock, {});
    return client.List(kConfigMaps, "default", {}).status();
  }
};

std::string Words(const absl::Status& status) { return std::string(status.message()); }

TEST_F(RealServer, AWrongAuthorityIsNamedAsTheCause) {
  Access access = Admin();
  ASSERT_TRUE(Try(access).ok());
  access.authority = {};
  const absl::Status machine = Try(access);
  EXPECT_EQ(machine.code(), absl::StatusCode::kFailedPrecondition) << machine;
  EXPECT_THAT(Words(machine), AllOf(HasSubstr("certificate-authority"), HasSubstr(access.server)));
  access.insecure = true;
  EXPECT_TRUE(Try(access).ok());
}

TEST_F(RealServer, WhatIsNoCertificateIsAnErrorAndNoCrash) {
  Access access = Admin();
  access.authority = {.text = "not PEM"};
  EXPECT_FALSE(Try(access).ok());
  access = Admin();
  access.certificate = {.text = "not PEM"};
  EXPECT_FALSE(Try(access).ok());
}

TEST_F(RealServer, TheServersNameMayBeAnotherThanItsHost) {
  Access access = Admin();
  access.tls_server_name = "localhost";
  EXPECT_TRUE(Try(access).ok()) << Try(access);
  access.tls_server_name = "elsewhere";
  EXPECT_EQ(Try(access).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RealServer, ATokenThatIsNotValidIsNamedAsTheCause) {
  Access access = Admin();
  access.certificate = access.key = {};
  access.token = {.text = "expired"};
  const absl::Status status = Try(access);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Words(status), HasSubstr("expired or belongs to another cluster"));
}

TEST_F(RealServer, AMissingPermissionIsNamed) {
  auto& plane = cluster::SharedControlPlane();
  const auto config = plane.KubeconfigOf("default", "nobody", json::array());
  ASSERT_TRUE(config.ok()) << config.status();
  const absl::Status status = Try(*FindAccess({.kubeconfig = *config}));
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(Words(status),
              AllOf(HasSubstr("cannot list resource \"configmaps\""), HasSubstr("grant it")));
}

TEST_F(RealServer, OneMayCallAsAnother) {
  Access access = Admin();
  access.impersonate = {.user = "jane", .groups = {"dev"}};
  const absl::Status status = Try(access);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(Words(status), HasSubstr("jane"));
}

TEST_F(RealServer, AMissingCrdIsNamed) {
  HttpApiClient client(Admin(), &kClock, {});
  const absl::Status status =
      client.List({"grapevine.dev", "v1alpha1", "unheardofs"}, "", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Words(status), HasSubstr("apply crds/"));
}

TEST_F(RealServer, AListThatIsLongComesWholeInPagesAndInOnePiece) {
  constexpr size_t kMany = 620;  // more than a page, and enough to be compressed
  HttpApiClient client(Admin(), &kClock, {});
  const auto name_space = cluster::SharedControlPlane().NewNamespace();
  ASSERT_TRUE(name_space.ok());
  for (size_t i = 0; i < kMany; ++i) {
    ASSERT_TRUE(client
                    .Create(kConfigMaps, {{"apiVersion", "v1"},
                                          {"kind", "ConfigMap"},
                                          {"metadata",
                                           {{"name", fmt::format("c{:04}", i)},
                                            {"namespace", *name_space},
                                            {"labels", {{"test", "long"}}}}},
                                          {"data", {{"text", std::string(1000, 'x')}}}})
                    .ok());
  }
  for (const char* version : {"", "0"}) {
    const auto list =
        client.List(kConfigMaps, *name_space,
                    {.selector = "test=long", .resource_version = version, .trim = [](json& item) {
                       item.erase("data");
                     }});
    ASSERT_TRUE(list.ok()) << list.status();
    ASSERT_EQ((*list)["items"].size(), kMany);
    for (size_t i = 0; i < kMany; ++i) {
      const json& item = (*list)["items"][i];
      EXPECT_EQ(item["metadata"]["name"], fmt::format("c{:04}", i));
      EXPECT_FALSE(item.contains("data"));
    }
  }
}

}  // namespace
}  // namespace grapevine::kube
