#pragma once

#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "operator/base/mutex.h"

namespace grapevine::kube {

// One accepted connection, as the test's script sees it.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}

  // The next request, head and body; empty once the client has hung up.
  std::string Read();
  void Send(const std::string& bytes) const;
  // A whole answer; the connection stays open.
  void Answer(int status, const std::string& body, const std::string& headers = "") const;
  // The head of an answer in chunks, and a chunk.
  void BeginChunks() const;
  void Chunk(const std::string& bytes) const;
  // Without a word.
  void Reset() const;

 private:
  const int fd_;
  std::string unread_;
};

// An HTTP server on a free port of 127.0.0.1 that does to each connection what the script says, on
// a thread of that connection; then hangs up. Thread-safe.
class ScriptedServer {
 public:
  // `script(peer, n)`: for the n-th connection, from 0.
  explicit ScriptedServer(std::function<void(Peer&, int)> script);
  // Hangs up on everyone and waits for the scripts, which then read and send nothing more.
  ~ScriptedServer();

  std::string url() const;
  int connections() const;

 private:
  void Accept();

  const std::function<void(Peer&, int)> script_;
  int listener_;
  int port_ = 0;
  mutable Mutex mutex_;
  std::vector<int> open_ ABSL_GUARDED_BY(mutex_);
  int accepted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<std::jthread> peers_;  // of the acceptor alone
  std::thread acceptor_;
};

}  // namespace grapevine::kube
