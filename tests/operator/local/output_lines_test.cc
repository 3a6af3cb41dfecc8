#include "operator/local/output_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace grapevine::local {
namespace {

class OutputLinesTest : public ::testing::Test {
 protected:
  OutputLinesTest() {
    EXPECT_EQ(pipe2(sink_, O_CLOEXEC | O_NONBLOCK), 0);
    fcntl(sink_[1], F_SETPIPE_SZ, 1 << 20);
    absl::StatusOr<OutputLines> lines = OutputLines::Create("[p] ", sink_[1]);
    EXPECT_TRUE(lines.ok());
    lines_.emplace(*std::move(lines));
  }
  ~OutputLinesTest() override {
    close(sink_[0]);
    close(sink_[1]);
  }

  void Write(std::string_view text) {
    ASSERT_EQ(write(lines_->write_fd(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  std::string Passed() {
    std::string text(1 << 20, '\0');
    const ssize_t got = read(sink_[0], text.data(), text.size());
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return text;
  }

  int sink_[2];
  std::optional<OutputLines> lines_;
};

TEST_F(OutputLinesTest, PassesWholeLinesOn) {
  Write("one\ntwo\nthr");
  lines_->PassOn();
  EXPECT_EQ(Passed(), "[p] one\n[p] two\n");
  Write("ee\n\n");
  lines_->PassOn();
  EXPECT_EQ(Passed(), "[p] three\n[p] \n");
  lines_->PassOn();
  EXPECT_EQ(Passed(), "");
}

TEST_F(OutputLinesTest, FinishPassesTheLastLineOn) {
  Write("no end");
  lines_->Finish();
  EXPECT_EQ(Passed(), "[p] no end\n");
  EXPECT_EQ(lines_->read_fd(), -1);
}

TEST_F(OutputLinesTest, NoticesTheEnd) {
  Write("one\n");
  lines_->CloseWriteEnd();
  lines_->PassOn();
  EXPECT_EQ(Passed(), "[p] one\n");
  EXPECT_EQ(lines_->read_fd(), -1);
  lines_->Finish();
}

TEST_F(OutputLinesTest, CutsALineThatHasNoEnd) {
  fcntl(lines_->write_fd(), F_SETPIPE_SZ, 1 << 20);
  Write(std::string(100'000, 'x'));
  lines_->PassOn();
  const std::string first = Passed();
  EXPECT_GE(first.size(), size_t{64} << 10);
  Write("\n");
  lines_->PassOn();
  EXPECT_EQ(first.size() + Passed().size(), 100'000 + 2 * std::string("[p] \n").size());
}

}  // namespace
}  // namespace grapevine::local
