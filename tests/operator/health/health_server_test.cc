#include "operator/health/health_server.h"

#include <atomic>
#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/operator/metrics/scrape.h"

namespace grapevine::health {
namespace {

using metrics::Scrape;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::Status Fine() { return absl::OkStatus(); }

TEST(HealthServer, SaysWhetherTheProcessLivesAndIsReady) {
  std::atomic<bool> ready = false;
  const auto server =
      HealthServer::Serve({.live = Fine, .ready = [&ready] {
                             return ready ? absl::OkStatus() : absl::UnavailableError("not yet");
                           }});
  ASSERT_TRUE(server.ok()) << server.status();
  const int port = (*server)->port();
  EXPECT_THAT(Scrape(port, "/healthz"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\nok")));
  EXPECT_THAT(Scrape(port, "/readyz"),
              AllOf(StartsWith("HTTP/1.1 500"), EndsWith("\r\n\r\nnot yet")));
  ready = true;
  EXPECT_THAT(Scrape(port, "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Scrape(port, "/etc/passwd"), HasSubstr("404"));
}

TEST(HealthServer, APortThatIsTakenOrMissingIsSaidSo) {
  const auto first = HealthServer::Serve({.live = Fine, .ready = Fine});
  ASSERT_TRUE(first.ok());
  const std::string address = fmt::format("127.0.0.1:{}", (*first)->port());
  const auto second = HealthServer::Serve({.address = address, .live = Fine, .ready = Fine});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
  EXPECT_EQ(HealthServer::Serve({.address = "8081", .live = Fine, .ready = Fine}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grapevine::health
