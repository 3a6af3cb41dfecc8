#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "operator/base/mutex.h"

namespace grapevine::control {

// Stands between a worker and its hub on this machine: passes bytes to `port` and back, until it is
// told to break what is open or to let nobody through. Thread-safe.
class Relay {
 public:
  explicit Relay(int port);
  ~Relay();

  std::string address() const;
  // Breaks the connections that are open; new ones go through.
  void Cut();
  // Breaks them too, and hangs up on whoever comes until Open.
  void Close();
  void Open();
  // Until so many were hung up on; false when that takes too long.
  bool AwaitTurnedAway(int times);

 private:
  struct Connection;

  void Accept();
  void CutLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int port_;
  const int listener_;
  int own_port_ = 0;
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  int turned_away_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace grapevine::control
