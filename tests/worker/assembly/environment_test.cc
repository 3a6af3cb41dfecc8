#include "worker/assembly/environment.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::assembly {
namespace {

using ::testing::HasSubstr;

class EnvironmentTest : public ::testing::Test {
 protected:
  EnvironmentTest() {
    setenv("GRAPEVINE_HUB", "127.0.0.1:9", 1);
    setenv("GRAPEVINE_NAMESPACE", "default", 1);
    setenv("GRAPEVINE_JOB", "digits", 1);
    setenv("GRAPEVINE_POD", "digits-0-0", 1);
    unsetenv("GRAPEVINE_THREADS");
  }
};

TEST_F(EnvironmentTest, ReadsWhatIsThereAndFillsInTheRest) {
  const auto found = ReadEnvironment();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->hub, "127.0.0.1:9");
  EXPECT_EQ(found->listen, "127.0.0.1:0");
  EXPECT_EQ(found->threads, 1);
}

TEST_F(EnvironmentTest, NamesEachVariableThatIsMissing) {
  unsetenv("GRAPEVINE_HUB");
  setenv("GRAPEVINE_POD", "", 1);
  const auto found = ReadEnvironment();
  EXPECT_EQ(found.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("GRAPEVINE_HUB GRAPEVINE_POD"));
}

TEST_F(EnvironmentTest, RefusesThreadsThatAreNoCount) {
  for (const char* threads : {"0", "-1", "two", "1.5", "99999"}) {
    setenv("GRAPEVINE_THREADS", threads, 1);
    EXPECT_THAT(std::string(ReadEnvironment().status().message()), HasSubstr("1 to 1024"))
        << threads;
  }
}

}  // namespace
}  // namespace grapevine::assembly
