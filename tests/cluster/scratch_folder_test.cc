#include "tests/cluster/scratch_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace grapevine::cluster {
namespace {

// Apart from the folders of tests that run at the same time.
class ScratchFolderTest : public ::testing::Test {
 protected:
  ScratchFolderTest() {
    EXPECT_NE(mkdtemp(own_.data()), nullptr);
    setenv("TMPDIR", own_.c_str(), 1);
  }
  ~ScratchFolderTest() override {
    unsetenv("TMPDIR");
    std::filesystem::remove_all(own_);
  }

  std::string own_ = (std::filesystem::temp_directory_path() / "scratch-XXXXXX").string();
};

TEST_F(ScratchFolderTest, GoesAwayWithAllThatIsInIt) {
  std::string path;
  {
    auto folder = ScratchFolder::Make();
    ASSERT_TRUE(folder.ok()) << folder.status();
    path = folder->path();
    std::ofstream(path + "/file") << "text";
    const ScratchFolder moved = *std::move(folder);
    EXPECT_TRUE(std::filesystem::exists(path + "/file"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ScratchFolderTest, OfAProcessThatDiedGoesWhenTheNextOneIsMade) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto folder = ScratchFolder::Make();
    const std::string path = folder.ok() ? folder->path() : "";
    [[maybe_unused]] const ssize_t written = write(pipe_ends[1], path.data(), path.size());
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  char buffer[256];
  const ssize_t size = read(pipe_ends[0], buffer, sizeof buffer);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  ASSERT_GT(size, 0);
  const std::string left(buffer, static_cast<size_t>(size));

  const auto alive = ScratchFolder::Make();
  const auto next = ScratchFolder::Make();
  ASSERT_TRUE(alive.ok() && next.ok());
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(alive->path()));
}

TEST_F(ScratchFolderTest, StaysWhenItIsKept) {
  auto kept = std::make_optional(*ScratchFolder::Make());
  const std::string path = kept->path();
  kept->Keep();
  kept.reset();
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(ScratchFolder::Make().ok());
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace grapevine::cluster
