#include "operator/kube/kubeconfig.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::kube {
namespace {

using ::testing::HasSubstr;

const char kWhole[] = R"(
apiVersion: v1
kind: Config
current-context: main
clusters:
- name: west
  cluster:
    server: https://west:6443
    certificate-authority-data: Q0E=
    tls-server-name: api.west
    proxy-url: http://proxy:3128
contexts:
- name: main
  context: {cluster: west, user: ann, namespace: ml}
users:
- name: ann
  user:
    client-certificate: ann.crt
    client-key: /keys/ann.key
    token: secret
    as: bob
    as-uid: u7
    as-groups: [dev, ops]
    as-user-extra: {scope: [view]}
)";

std::string Without(std::string text, const std::string& line) {
  const size_t at = text.find(line);
  return at == std::string::npos ? text : text.erase(at, line.size());
}

std::string With(std::string text, const std::string& what, const std::string& instead) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), instead);
}

std::string ErrorOf(const std::string& text, const std::string& context = "") {
  const auto access = ReadKubeconfig({{"/home/ann/config", text}}, context);
  EXPECT_FALSE(access.ok()) << text;
  return access.ok() ? "" : std::string(access.status().message());
}

TEST(Kubeconfig, SaysHowToReachTheServerAndAsWhom) {
  const auto access = ReadKubeconfig({{"/home/ann/config", kWhole}}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(*access, (Access{.server = "https://west:6443",
                             .authority = {.text = "CA"},
                             .tls_server_name = "api.west",
                             .proxy_url = "http://proxy:3128",
                             .certificate = {.file = "/home/ann/ann.crt"},
                             .key = {.file = "/keys/ann.key"},
                             .token = {.text = "secret"},
                             .impersonate = {.user = "bob",
                                             .uid = "u7",
                                             .groups = {"dev", "ops"},
                                             .extra = {{"scope", {"view"}}}},
                             .name_space = "ml"}));
}

TEST(Kubeconfig, OfSeveralFilesTheFirstToNameAThingWinsAndPathsCountFromItsFile) {
  const char* first = R"(
clusters:
- {name: west, cluster: {server: "https://first:1"}}
users:
- {name: bob, user: {tokenFile: token}}
)";
  const char* second = R"(
current-context: other
clusters:
- {name: west, cluster: {server: "https://second:2"}}
contexts:
- {name: other, context: {cluster: west, user: bob}}
)";
  const auto access =
      ReadKubeconfig({{"/a/config", first}, {"/b/config", second}, {"/c/config", kWhole}}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://first:1");
  EXPECT_EQ(access->token.file, "/a/token");
  EXPECT_EQ(access->name_space, "default");
  const auto named = ReadKubeconfig({{"/b/config", second}, {"/c/config", kWhole}}, "main");
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->server, "https://second:2");
  EXPECT_EQ(named->certificate.file, "/c/ann.crt");
}

TEST(Kubeconfig, ATokenFileBeatsAToken) {
  const auto access = ReadKubeconfig(
      {{"/c", With(kWhole, "token: secret", "token: secret\n    tokenFile: t")}}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->token, (Material{.file = "/t"}));
}

TEST(Kubeconfig, APluginIsReadWhole) {
  const std::string text = With(kWhole, "    token: secret", R"(    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./get-token
      args: [--cluster, west]
      env: [{name: A, value: b}]
      installHint: install it
      provideClusterInfo: true)");
  const auto access = ReadKubeconfig({{"/home/ann/config", text}}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->exec, (ExecPlugin{.command = "/home/ann/./get-token",
                                      .arguments = {"--cluster", "west"},
                                      .environment = {{"A", "b"}},
                                      .api_version = "client.authentication.k8s.io/v1",
                                      .install_hint = "install it",
                                      .provide_cluster = true}));
}

TEST(Kubeconfig, WhatIsWrongIsNamedWithItsFileAndField) {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"[1, 2]", "/home/ann/config: allowed is a kubeconfig"},
      {"a: [", "/home/ann/config: "},
      {"", "current-context: allowed is one of none"},
      {With(kWhole, "current-context: main", "current-context: nil"),
       "no context \"nil\"; there is main"},
      {With(kWhole, "cluster: west,", "cluster: east,"), "no cluster \"east\"; there is west"},
      {With(kWhole, "user: ann,", "user: eve,"), "no user \"eve\"; there is ann"},
      {With(kWhole, "server: https://west:6443", "server: west"),
       "clusters[name=west].cluster.server: allowed is https://HOST:PORT"},
      {With(kWhole, "Q0E=", "'?'"),
       "clusters[name=west].cluster.certificate-authority-data: allowed is base64"},
      {With(kWhole, "tls-server-name", "insecure-skip-tls-verify: true\n    tls-server-name"),
       "insecure-skip-tls-verify: allowed is false"},
      {Without(kWhole, "    client-key: /keys/ann.key\n"), "users[name=ann].user.client-key"},
      {Without(kWhole, "    as: bob\n"), "users[name=ann].user.as: allowed is a user"},
      {With(kWhole, "token: secret", "token: [secret]"), "users[name=ann].user.token"},
      {With(kWhole, "token: secret", "username: ann"), "API servers take no passwords"},
      {With(kWhole, "as-groups: [dev, ops]", "as-groups: [3]"), "a list of strings"},
      {With(kWhole, "token: secret", "exec: {command: x, apiVersion: v1}"),
       "users[name=ann].user.exec.apiVersion: allowed is client.authentication.k8s.io/v1"},
      {With(kWhole, "clusters:\n", "clusters: 3\nx:\n"), "clusters: allowed is a list"},
      {With(kWhole, "- name: west\n", "- name: 3\n"), "clusters[0].name: allowed is a string"},
  };
  for (const auto& [text, says] : cases) {
    EXPECT_THAT(ErrorOf(text), HasSubstr(says)) << text;
    EXPECT_THAT(ErrorOf(text), HasSubstr("/home/ann/config")) << text;
  }
  EXPECT_THAT(ErrorOf(kWhole, "there-is-none"), HasSubstr("no context"));
}

TEST(Kubeconfig, AnErrorIsShortHoweverLongTheNamesAre) {
  const std::string name(1000, 'x');
  for (const std::string& text : {With(kWhole, "cluster: west,", "cluster: " + name + ","),
                                  With(kWhole, "current-context: main", "current-context: " + name),
                                  With(With(kWhole, "- name: west\n", "- name: " + name + "\n"),
                                       "cluster: west,", "cluster: east,"),
                                  With(kWhole, "{scope: [view]}", "{" + name + ": 3}")}) {
    const std::string error = ErrorOf(text);
    EXPECT_THAT(error, HasSubstr("xxx..."));
    EXPECT_LT(error.size(), 500u) << error;
  }
}

TEST(Kubeconfig, APodFindsItsServerInItsEnvironmentAndItsAccountInAFolder) {
  const std::string folder = ::testing::TempDir() + "/account";
  std::filesystem::create_directories(folder);
  EXPECT_EQ(InClusterAccess("10.0.0.1", "443", folder).status().code(),
            absl::StatusCode::kNotFound);
  std::ofstream(folder + "/token") << "t";
  std::ofstream(folder + "/namespace") << "ml";
  EXPECT_EQ(InClusterAccess("", "443", folder).status().code(), absl::StatusCode::kNotFound);
  const auto v4 = InClusterAccess("10.0.0.1", "443", folder);
  const auto v6 = InClusterAccess("fd00::1", "443", folder);
  ASSERT_TRUE(v4.ok() && v6.ok());
  EXPECT_EQ(v4->server, "https://10.0.0.1:443");
  EXPECT_EQ(v6->server, "https://[fd00::1]:443");
  EXPECT_EQ(v4->name_space, "ml");
  EXPECT_EQ(v4->token.file, folder + "/token");
  std::filesystem::remove_all(folder);
}

TEST(Kubeconfig, OfFilesThatAreNamedSomeMayBeMissingButNotAll) {
  const std::string there = ::testing::TempDir() + "/kubeconfig";
  std::ofstream(there) << kWhole;
  EXPECT_TRUE(FindAccess({.kubeconfig = "/not/there:" + there}).ok());
  const auto missing = FindAccess({.kubeconfig = "/not/there"});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/not/there"));
  std::filesystem::remove(there);
}

}  // namespace
}  // namespace grapevine::kube
