#include "worker/checkpoint/retention.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "operator/api/checkpoint_file.h"
#include "tests/worker/checkpoint/checkpoint_fixture.h"

namespace grapevine::checkpoint {
namespace {

namespace fs = std::filesystem;

class RetentionTest : public CheckpointTest {
 protected:
  std::string WriteAt(int64_t samples) {
    const std::string file = api::CheckpointFile(folder_.string(), "uid-1", samples);
    EXPECT_TRUE(Write(file, SomeManifest(samples), layout_, store_).ok());
    return file;
  }
  std::set<std::string> Files() const {
    std::set<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_ / "uid-1")) {
      files.insert(entry.path().filename().string());
    }
    return files;
  }
};

TEST_F(RetentionTest, FindsTheOneWithTheMostSamples) {
  EXPECT_FALSE(FindNewest(folder_.string(), "uid-1").has_value());
  WriteAt(20);
  const std::string newest = WriteAt(100);
  WriteAt(30);
  const auto found = FindNewest(folder_.string(), "uid-1");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->file, newest);
  EXPECT_EQ(found->manifest, SomeManifest(100));
}

TEST_F(RetentionTest, PassesOverWhatIsBrokenPartialOrForeign) {
  const std::string whole = WriteAt(10);
  fs::resize_file(WriteAt(20), 100);
  WriteBytes(api::CheckpointFile(folder_.string(), "uid-1", 30), "");
  WriteBytes(api::CheckpointFile(folder_.string(), "uid-1", 40) + ".123.tmp", ReadBytes(whole));
  Manifest foreign = SomeManifest(50);
  foreign.job_uid = "uid-2";
  ASSERT_TRUE(
      Write(api::CheckpointFile(folder_.string(), "uid-1", 50), foreign, layout_, store_).ok());
  fs::create_directories(api::CheckpointFile(folder_.string(), "uid-1", 60));
  const auto found = FindNewest(folder_.string(), "uid-1");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->file, whole);
}

TEST_F(RetentionTest, PassesOverWhatIsKnownToBeUnreadable) {
  const std::string older = WriteAt(10);
  const std::string newest = WriteAt(20);
  EXPECT_EQ(FindNewest(folder_.string(), "uid-1", {newest})->file, older);
  EXPECT_FALSE(FindNewest(folder_.string(), "uid-1", {newest, older}).has_value());
}

TEST_F(RetentionTest, AJobSeesOnlyItsOwn) {
  WriteAt(10);
  EXPECT_FALSE(FindNewest(folder_.string(), "uid-2").has_value());
}

TEST_F(RetentionTest, KeepsTheNewest) {
  for (int64_t samples : {10, 20, 30}) WriteAt(samples);
  const std::string written = WriteAt(40);
  Retain(folder_.string(), "uid-1", 3, written);
  EXPECT_EQ(Files().size(), 3u);
  Retain(folder_.string(), "uid-1", 3, written);
  EXPECT_EQ(Files().size(), 3u);
  Retain(folder_.string(), "uid-1", 0, written);  // the last one always stays
  EXPECT_EQ(Files(), (std::set<std::string>{"000000000000040.safetensors"}));
}

TEST_F(RetentionTest, KeepsTheOneJustWrittenThoughOthersHaveMoreSamples) {
  const std::string written = WriteAt(10);
  for (int64_t samples : {20, 30, 40}) WriteAt(samples);
  Retain(folder_.string(), "uid-1", 2, written);
  EXPECT_EQ(Files(),
            (std::set<std::string>{"000000000000010.safetensors", "000000000000040.safetensors"}));
  Retain(folder_.string(), "uid-1", 1, written);
  EXPECT_EQ(Files(), (std::set<std::string>{"000000000000010.safetensors"}));
}

TEST_F(RetentionTest, BrokenFilesDoNotPushOutWholeOnes) {
  WriteAt(10);
  std::string broken;
  for (int64_t samples : {20, 30, 40}) fs::resize_file(broken = WriteAt(samples), 50);
  Retain(folder_.string(), "uid-1", 2, broken);
  EXPECT_TRUE(Files().contains("000000000000010.safetensors"));
  EXPECT_EQ(FindNewest(folder_.string(), "uid-1")->manifest.samples, 10);
}

TEST_F(RetentionTest, ClearsAwayWhatDeadWritersLeft) {
  const std::string whole = WriteAt(10);
  const std::string fresh = whole + ".1.tmp";
  const std::string old = whole + ".2.tmp";
  WriteBytes(fresh, "x");
  WriteBytes(old, "x");
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(1));
  Retain(folder_.string(), "uid-1", 3, whole);
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_FALSE(fs::exists(old));
}

TEST_F(RetentionTest, AFolderThatIsNotThereIsEmpty) {
  Retain(Path("nowhere"), "uid-1", 1, Path("nowhere/uid-1/1.safetensors"));
  EXPECT_FALSE(FindNewest(Path("nowhere"), "uid-1").has_value());
}

}  // namespace
}  // namespace grapevine::checkpoint
