#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "absl/status/status.h"

namespace grapevine::bench {

// The yardstick: the same bytes over one TCP connection, both ways at once, with nothing done to
// them. The thread that calls Run sends, a second one receives; 1 MiB a call, TCP_NODELAY, the
// system's buffer sizes, all memory touched before.
//
// Thread-compatible.
class RawDuplex {
 public:
  // Takes over a connected socket. Sends `bytes` bytes a round, each of value `mark`.
  RawDuplex(int socket, size_t bytes, std::byte mark);
  ~RawDuplex();  // ends the receiver; the other end must live until then
  RawDuplex(const RawDuplex&) = delete;
  RawDuplex& operator=(const RawDuplex&) = delete;

  // One round: returns when all has been handed to the kernel and all of the other end's bytes are
  // here.
  void Run();

  const std::vector<std::byte>& received() const { return incoming_; }

 private:
  void Receive();

  const int socket_;
  std::vector<std::byte> outgoing_;
  std::vector<std::byte> incoming_;
  std::atomic<int> rounds_received_ = 0;
  int rounds_run_ = 0;
  std::jthread receiver_;
};

// A pair of ends of one loopback connection: the listener's port goes to the other process by the
// caller's means.
int ListenOnLoopback(int& port);
int AcceptOne(int listener);
int ConnectToLoopback(int port);

}  // namespace grapevine::bench
