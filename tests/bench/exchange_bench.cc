// How long two processes take to average their models over gRPC, against the same bytes over raw
// TCP in the same interleaved run. The process starts itself a second time as the other end.

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "operator/base/check.h"
#include "tests/bench/raw_duplex.h"
#include "tests/bench/watched_transport.h"
#include "worker/gossip/driver.h"
#include "worker/store/parameter_store.h"
#include "worker/transport/grpc/grpc_transport.h"

namespace grapevine::bench {
namespace {

constexpr int kWarmUps = 2;
constexpr Duration kPatience = 60s;

struct Case {
  const char* name;
  size_t elements;
  int rounds_factor;  // short exchanges are repeated more often
  double bar;
};
constexpr Case kCases[] = {{"100 MiB", (100 << 20) / sizeof(float), 1, 1.25},
                           {"  1 MiB", (1 << 20) / sizeof(float), 10, 2.0}};

Time Now() { return std::chrono::steady_clock::now(); }

double CpuSeconds() {
  rusage usage;
  GRAPEVINE_CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Fixed-size messages between the two processes, by which they keep step.
class OtherProcess {
 public:
  explicit OtherProcess(int socket) : socket_(socket) {}
  ~OtherProcess() { close(socket_); }

  template <typename T>
  void Tell(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    GRAPEVINE_CHECK(write(socket_, &value, sizeof value) == sizeof value);
  }
  template <typename T>
  T Hear() {
    T value;
    GRAPEVINE_CHECK(recv(socket_, &value, sizeof value, MSG_WAITALL) == sizeof value);
    return value;
  }

 private:
  const int socket_;
};

struct Address {
  char text[64] = {};
};

// Whole numbers, so that averages are exact and differ between elements, members and rounds.
float Value(size_t element, bool active, int round) {
  return static_cast<float>(active ? 2 * (element % 100'003) + round
                                   : 6 * (element % 50'021) + 4 * round);
}

// One end of the exchange: the production store, engine, driver and transport.
class Member {
 public:
  Member(size_t elements, bool active, OtherProcess& other)
      : active_(active),
        transport_(*transport::GrpcTransport::Create({})),
        watched_(*transport_),
        store_(elements, gossip::kChunkElements),
        driver_({}, watched_, store_, clock_) {
    Address mine, theirs;
    transport_->address().copy(mine.text, sizeof mine.text - 1);
    other.Tell(mine);
    theirs = other.Hear<Address>();
    driver_.SetIdentity({.job_uid = "bench", .member = Id(active_), .layout_hash = elements});
    driver_.SetView({.epoch = 1,
                     .side = active_ ? gossip::Side::kActive : gossip::Side::kPassive,
                     .neighbours = {{.member = Id(!active_), .address = theirs.text}}});
    driver_.Start();
  }
  ~Member() { driver_.Stop(Now()); }

  void Load(int round) {
    std::vector<float> values;
    for (uint32_t chunk = 0; chunk < store_.chunks(); ++chunk) {
      values.resize(store_.ChunkElements(chunk));
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = Value(store_.ChunkOffset(chunk) + i, active_, round);
      }
      store_.LoadWeights(chunk, values);
    }
  }

  // Returns when the exchange was complete at this end.
  Time Exchange() {
    if (active_) driver_.NoteStep();
    const Time end = watched_.AwaitExchanges(++exchanges_, Now() + kPatience);
    GRAPEVINE_CHECK(end != Time::max());
    return end;
  }

  void Check(int round) {
    std::vector<float> values(store_.elements());
    store_.Read(values);
    for (size_t i = 0; i < values.size(); ++i) {
      GRAPEVINE_CHECK(values[i] == (Value(i, true, round) + Value(i, false, round)) / 2);
    }
  }

 private:
  static gossip::MemberId Id(bool active) { return active ? 1 : 2; }

  const bool active_;
  RealClock clock_;
  std::unique_ptr<transport::GrpcTransport> transport_;
  WatchedTransport watched_;
  store::ParameterStore store_;
  gossip::Driver driver_;
  int exchanges_ = 0;
};

struct Lap {
  Time end;
  double cpu_seconds;
};

template <typename Work>
Lap Measure(Work work) {
  const double before = CpuSeconds();
  const Time end = work();
  return {.end = end, .cpu_seconds = CpuSeconds() - before};
}

std::unique_ptr<RawDuplex> Connect(size_t bytes, bool first, OtherProcess& other) {
  if (!first) {
    return std::make_unique<RawDuplex>(ConnectToLoopback(other.Hear<int>()), bytes, std::byte{2});
  }
  int port = 0;
  const int listener = ListenOnLoopback(port);
  other.Tell(port);
  auto raw = std::make_unique<RawDuplex>(AcceptOne(listener), bytes, std::byte{1});
  close(listener);
  return raw;
}

struct Figures {
  std::vector<double> ms;
  std::vector<double> cpu_seconds;
};

// Both processes at the same work, from the first one's start to the later one's end.
template <typename Work>
void Together(bool first, OtherProcess& other, Figures* figures, Work work) {
  if (!first) {
    other.Tell('r');
    other.Hear<char>();
    other.Tell(Measure(work));
    return;
  }
  other.Hear<char>();
  std::this_thread::sleep_for(1ms);  // lets the other one fall asleep in its wait
  const Time start = Now();
  other.Tell('g');
  const Lap mine = Measure(work);
  const Lap theirs = other.Hear<Lap>();
  if (figures == nullptr) return;
  figures->ms.push_back(1e3 * ToSeconds(std::max(mine.end, theirs.end) - start));
  figures->cpu_seconds.push_back(mine.cpu_seconds + theirs.cpu_seconds);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void RunCase(const Case& c, int rounds, bool first, OtherProcess& other) {
  const size_t bytes = c.elements * sizeof(float);
  const auto raw = Connect(bytes, first, other);
  Member member(c.elements, first, other);
  Figures tcp, exchange;
  for (int round = -kWarmUps; round < rounds * c.rounds_factor; ++round) {
    member.Load(round);
    Together(first, other, round < 0 ? nullptr : &tcp, [&] {
      raw->Run();
      return Now();
    });
    Together(first, other, round < 0 ? nullptr : &exchange, [&] { return member.Exchange(); });
    member.Check(round);
    GRAPEVINE_CHECK(std::ranges::count(raw->received(), std::byte(first ? 2 : 1)) ==
                    static_cast<ptrdiff_t>(bytes));
  }
  if (first) {
    const double gigabytes = 2e-9 * static_cast<double>(bytes);  // one model each way
    const double ratio = Median(exchange.ms) / Median(tcp.ms);
    fmt::print(
        "{}: exchange {:.3f} ms, raw TCP {:.3f} ms, ratio {:.3f} (bar {:.2f}); "
        "CPU s/GB: exchange {:.2f}, raw TCP {:.2f}; medians of {}\n",
        c.name, Median(exchange.ms), Median(tcp.ms), ratio, c.bar,
        Median(exchange.cpu_seconds) / gigabytes, Median(tcp.cpu_seconds) / gigabytes,
        exchange.ms.size());
    std::fflush(stdout);
  }
  // Neither end goes away before the other has finished its checks.
  other.Tell('e');
  other.Hear<char>();
}

int RunBoth(int rounds, int socket, bool first) {
  OtherProcess other(socket);
  for (const Case& c : kCases) RunCase(c, rounds, first, other);
  return 0;
}

int StartOther(int rounds, int& socket) {
  int ends[2];
  GRAPEVINE_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  GRAPEVINE_CHECK(fcntl(ends[1], F_SETFD, 0) == 0);
  socket = ends[0];
  std::string self = "/proc/self/exe", rounds_flag = fmt::format("--rounds={}", rounds),
              socket_flag = fmt::format("--second={}", ends[1]);
  char* arguments[] = {self.data(), rounds_flag.data(), socket_flag.data(), nullptr};
  pid_t child = 0;
  GRAPEVINE_CHECK(posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, environ) == 0);
  close(ends[1]);
  return child;
}

int Main(int argc, char** argv) {
  CLI::App app("Pairwise exchange over gRPC against raw TCP, two processes on loopback");
  int rounds = 12;
  int second = -1;
  app.add_option("--rounds", rounds,
                 "Measured rounds of the 100 MiB case; the 1 MiB case has ten times as many")
      ->check(CLI::Range(1, 1000));
  app.add_option("--second", second, "Set by the first process: the socket to it")->group("");
  CLI11_PARSE(app, argc, argv);
  if (second >= 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return RunBoth(rounds, second, /*first=*/false);
  }
  int socket = -1;
  const pid_t child = StartOther(rounds, socket);
  RunBoth(rounds, socket, /*first=*/true);
  int status = 0;
  GRAPEVINE_CHECK(waitpid(child, &status, 0) == child);
  return status == 0 ? 0 : 1;
}

}  // namespace
}  // namespace grapevine::bench

int main(int argc, char** argv) { return grapevine::bench::Main(argc, argv); }
