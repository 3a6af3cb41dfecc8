#include "operator/local/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/base/clock.h"

namespace grapevine::local {
namespace {

using ::testing::HasSubstr;

// Where a child writes; what it wrote can be read when it is over.
class OutputPipe {
 public:
  OutputPipe() { EXPECT_EQ(pipe2(fds_, O_CLOEXEC), 0); }
  ~OutputPipe() {
    CloseWriteEnd();
    close(fds_[0]);
  }
  int write_fd() const { return fds_[1]; }
  void CloseWriteEnd() {
    if (fds_[1] >= 0) close(fds_[1]);
    fds_[1] = -1;
  }
  std::string ReadLine() {
    std::string line;
    for (char c; read(fds_[0], &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  std::string ReadAll() {
    CloseWriteEnd();
    std::string text;
    for (char c; read(fds_[0], &c, 1) == 1;) text += c;
    return text;
  }

 private:
  int fds_[2];
};

ExitStatus WaitFor(ChildProcess& child) {
  while (true) {
    if (const std::optional<ExitStatus> exit = child.TryWait()) return *exit;
    pollfd fd{child.exit_fd(), POLLIN, 0};
    poll(&fd, 1, child.exit_fd() >= 0 ? -1 : 10);
  }
}

ChildProcess Started(std::vector<std::string> arguments, int output) {
  absl::StatusOr<ChildProcess> child =
      ChildProcess::Start({std::move(arguments), {"PATH=/usr/bin:/bin", "COLOUR=red"}, ""}, output);
  EXPECT_TRUE(child.ok()) << child.status();
  return *std::move(child);
}

// Also true of a zombie that nobody has waited for.
bool IsGone(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string stat((std::istreambuf_iterator<char>(file)), {});
  const size_t end = stat.rfind(')');
  return end == std::string::npos || stat.substr(end + 2, 1) == "Z";
}

void WaitUntilGone(pid_t pid) {
  while (!IsGone(pid)) std::this_thread::sleep_for(1ms);
}

TEST(ChildProcessTest, PassesArgumentsAndEnvironmentAsTheyAre) {
  OutputPipe output;
  ChildProcess child = Started(
      {"sh", "-c", "printf '%s|' \"$0\" \"$@\" \"$COLOUR\" \"$HOME\"", "a b", "$(id)", "*", ""},
      output.write_fd());
  EXPECT_EQ(WaitFor(child).code, 0);
  EXPECT_EQ(output.ReadAll(), "a b|$(id)|*||red||");
}

TEST(ChildProcessTest, TellsHowItEnded) {
  OutputPipe output;
  ChildProcess failed = Started({"sh", "-c", "exit 7"}, output.write_fd());
  const ExitStatus exit = WaitFor(failed);
  EXPECT_EQ(exit.code, 7);
  EXPECT_EQ(exit.signal, 0);
  EXPECT_EQ(failed.TryWait(), std::nullopt);
  ChildProcess killed = Started({"sleep", "600"}, output.write_fd());
  EXPECT_EQ(killed.TryWait(), std::nullopt);
  killed.Signal(SIGKILL);
  const ExitStatus by_signal = WaitFor(killed);
  EXPECT_EQ(by_signal.code, 128 + SIGKILL);
  EXPECT_EQ(by_signal.signal, SIGKILL);
  killed.Signal(SIGKILL);  // nothing happens
}

TEST(ChildProcessTest, SaysWhyItCannotStart) {
  OutputPipe output;
  const auto code = [&](std::vector<std::string> arguments, std::string directory = "") {
    return ChildProcess::Start({std::move(arguments), {}, std::move(directory)}, output.write_fd())
        .status()
        .code();
  };
  EXPECT_EQ(code({"/no/such/program"}), absl::StatusCode::kNotFound);
  EXPECT_EQ(code({"no-such-program"}), absl::StatusCode::kNotFound);
  EXPECT_EQ(code({"/etc/passwd"}), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code({"/bin/true"}, "/no/such/folder"), absl::StatusCode::kNotFound);
  EXPECT_EQ(code({}), absl::StatusCode::kInvalidArgument);
}

TEST(ChildProcessTest, StartsInTheFolderItWasTold) {
  OutputPipe output;
  absl::StatusOr<ChildProcess> child =
      ChildProcess::Start({{"/bin/pwd"}, {}, "/usr"}, output.write_fd());
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(WaitFor(*child).code, 0);
  EXPECT_EQ(output.ReadAll(), "/usr\n");
}

TEST(ChildProcessTest, InheritsNoOpenFileSignalSettingOrInput) {
  // All without O_CLOEXEC, as a careless library might open them.
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  const int high = fcntl(sockets[0], F_DUPFD, 300);
  const auto old_handler = std::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigset_t old_mask;
  pthread_sigmask(SIG_BLOCK, &blocked, &old_mask);

  // Programs without a shell, whose own pipes and forks would be seen as well.
  const auto output_of = [](std::vector<std::string> arguments) {
    OutputPipe output;
    ChildProcess child = Started(std::move(arguments), output.write_fd());
    EXPECT_EQ(WaitFor(child).code, 0);
    return output.ReadAll();
  };
  // 3 is the folder, while ls reads it.
  EXPECT_EQ(output_of({"ls", "/proc/self/fd"}), "0\n1\n2\n3\n");
  EXPECT_EQ(output_of({"readlink", "/proc/self/fd/0"}), "/dev/null\n");
  const std::string status = output_of({"cat", "/proc/self/status"});
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("SigIgn:\t0000000000000000"));

  pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);
  std::signal(SIGPIPE, old_handler);
  for (int fd : {sockets[0], sockets[1], high}) close(fd);
}

TEST(ChildProcessTest, HasAProcessGroupOfItsOwn) {
  OutputPipe output;
  ChildProcess child = Started({"sleep", "600"}, output.write_fd());
  EXPECT_EQ(getpgid(child.pid()), child.pid());
  EXPECT_NE(getpgid(0), child.pid());
  child.Signal(SIGKILL);
  WaitFor(child);
}

TEST(ChildProcessTest, SignalsReachItsChildrenToo) {
  OutputPipe output;
  ChildProcess child = Started({"sh", "-c", "sleep 600 & echo $!; wait"}, output.write_fd());
  const pid_t grandchild = std::stoi(output.ReadLine());
  child.Signal(SIGKILL);
  WaitFor(child);
  WaitUntilGone(grandchild);
}

TEST(ChildProcessTest, LeavesNobodyOfItsGroupBehind) {
  OutputPipe output;
  ChildProcess child =
      Started({"sh", "-c", "trap '' HUP; sleep 600 & echo $!; exit 4"}, output.write_fd());
  const pid_t grandchild = std::stoi(output.ReadLine());
  EXPECT_EQ(WaitFor(child).code, 4);
  WaitUntilGone(grandchild);
}

TEST(ChildProcessTest, TerminateLeavesItsChildrenToIt) {
  OutputPipe output;
  ChildProcess child = Started(
      {"sh", "-c", "trap 'kill -0 $!; exit $?' TERM; sleep 600 & echo $!; while :; do wait; done"},
      output.write_fd());
  output.ReadLine();
  child.Signal(SIGSTOP);
  child.Terminate();
  EXPECT_EQ(WaitFor(child).code, 0);
}

TEST(ChildProcessTest, DiesWithTheThreadThatStartedIt) {
  OutputPipe output;
  std::optional<ChildProcess> child;
  std::thread starter([&] { child.emplace(Started({"sleep", "600"}, output.write_fd())); });
  starter.join();
  EXPECT_EQ(WaitFor(*child).signal, SIGKILL);
}

TEST(ChildProcessTest, IsKilledWhenItsOwnerGoesWithoutWaiting) {
  OutputPipe output;
  pid_t pid = 0;
  {
    ChildProcess child = Started({"sleep", "600"}, output.write_fd());
    pid = child.pid();
  }
  EXPECT_TRUE(IsGone(pid));
}

TEST(ChildProcessTest, DiesStoppedOrNotWhenAProcessAboveIsKilled) {
  for (const bool stopped : {false, true}) {
    OutputPipe output;
    ChildProcess host = Started({KUBELET_HOST}, output.write_fd());
    const pid_t worker = std::stoi(output.ReadLine());
    ASSERT_FALSE(IsGone(worker));
    if (stopped) kill(worker, SIGSTOP);
    kill(host.pid(), SIGKILL);  // the host alone: the worker has a group of its own
    EXPECT_EQ(WaitFor(host).signal, SIGKILL);
    WaitUntilGone(worker);
  }
}

}  // namespace
}  // namespace grapevine::local
