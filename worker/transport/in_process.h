#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "operator/base/mutex.h"
#include "worker/transport/transport.h"

namespace grapevine::transport {

class InProcessTransport;

// Where the members of one process find each other: what a network is to other transports. Outlives
// its endpoints. One lock covers all of them; it is held for moving pointers only, since no payload
// is copied.
//
// Thread-safe.
class Switch {
 public:
  Switch() = default;
  Switch(const Switch&) = delete;
  Switch& operator=(const Switch&) = delete;

 private:
  friend class InProcessTransport;

  Mutex mutex_;
  std::map<std::string, InProcessTransport*> endpoints_ ABSL_GUARDED_BY(mutex_);
};

// The transport for members that are threads of one process: frames change hands without a copy, so
// the receiver reads the very bytes that the sender snapshotted.
//
// A link is dialled, checked and broken at both ends in one step. A receiver that lets
// kMaxFramesWaiting frames of one peer wait loses that link: nothing here is without a bound.
//
// Lives on the gossip thread, with the exceptions that transport.h names.
class InProcessTransport final : public Transport {
 public:
  static constexpr size_t kMaxFramesWaiting = 256;

  // Attaches to `network` under `name`, which no other endpoint may hold now; the destructor
  // detaches and breaks all links.
  InProcessTransport(Switch& network, std::string name);
  ~InProcessTransport() override;

  const std::string& address() const override { return name_; }
  void SetIdentity(const Identity& identity) override;
  void SetAddress(MemberId peer, const std::string& address) override;
  void Forget(MemberId peer) override;
  void Send(MemberId peer, Frame frame) override;
  void Poll(Time deadline, std::vector<Event>& events) override;
  void Wake() override;
  Traffic traffic() const override;

 private:
  struct Link {
    InProcessTransport* remote = nullptr;
    size_t frames_waiting = 0;  // in our inbox
  };
  // What a broken link leaves behind is destroyed after the lock is let go.
  using Garbage = std::vector<Event>;

  // All of the state below is guarded by the switch's mutex, of every endpoint alike.
  InProcessTransport* Dial(MemberId peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(network_.mutex_);
  // Also on the far end, whose mutex the analysis does not know to be the same one.
  void Push(Event event);
  // Tells the far end, never this one.
  void Break(MemberId peer, const char* reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(network_.mutex_);
  void BreakAll(const char* reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(network_.mutex_);
  void DropFrom(MemberId peer, Garbage& garbage) ABSL_EXCLUSIVE_LOCKS_REQUIRED(network_.mutex_);

  Switch& network_;
  const std::string name_;
  CondVar happened_;
  std::optional<Identity> identity_;
  std::map<MemberId, std::string> addresses_;
  std::map<MemberId, Link> links_;
  std::deque<Event> inbox_;
  bool woken_ = false;
  Traffic traffic_;
};

}  // namespace grapevine::transport
