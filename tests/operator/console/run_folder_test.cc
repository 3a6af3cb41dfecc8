#include "operator/console/run_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::console {
namespace {

using ::testing::HasSubstr;

class RunFolderTest : public ::testing::Test {
 protected:
  RunFolderTest() { std::filesystem::create_directories(checkpoints_); }
  ~RunFolderTest() override { std::filesystem::remove_all(checkpoints_); }

  const std::string checkpoints_ = testing::TempDir() + "/run_folder_" +
                                   testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(RunFolderTest, EachRunHasAUidAndAFolderForLogs) {
  const auto first = ChooseUid("", checkpoints_);
  const auto second = ChooseUid("", checkpoints_);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(*first, *second);
  const auto logs = MakeLogFolder(checkpoints_, *first);
  ASSERT_TRUE(logs.ok()) << logs.status();
  EXPECT_TRUE(std::filesystem::is_directory(*logs));
  EXPECT_FALSE(HasCheckpoint(*logs));
}

TEST_F(RunFolderTest, OnlyARunWithACheckpointIsResumed) {
  const auto logs = MakeLogFolder(checkpoints_, "earlier");
  EXPECT_TRUE(absl::IsInvalidArgument(ChooseUid("earlier", checkpoints_).status()));
  std::ofstream(checkpoints_ + "/earlier/0100.safetensors") << "weights";
  EXPECT_TRUE(HasCheckpoint(*logs));
  EXPECT_EQ(*ChooseUid("earlier", checkpoints_), "earlier");
  for (const std::string other : {"../earlier", "earlier/", ".", "..", "none", "earlier\xff"}) {
    const absl::Status status = ChooseUid(other, checkpoints_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << other;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--resume " + other + ":"));
  }
}

TEST_F(RunFolderTest, WithoutCheckpointsTheLogsAreTemporaryFiles) {
  setenv("TMPDIR", checkpoints_.c_str(), 1);
  EXPECT_EQ(*MakeLogFolder("", "u"), checkpoints_ + "/grapevine/u/logs");
  setenv("TMPDIR", "/nonexistent", 1);
  const absl::Status status = MakeLogFolder("", "u").status();
  unsetenv("TMPDIR");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("TMPDIR: "));
}

TEST_F(RunFolderTest, SaysThatTheFolderCannotBeMade) {
  const absl::Status status = MakeLogFolder("/proc/none", "u").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/proc/none/u/logs"));
}

}  // namespace
}  // namespace grapevine::console
