#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "operator/topology/hub.h"
#include "tests/simulation/imitated_worker.h"

namespace grapevine::simulation {

// An imitated worker and its stream to a hub. What it is sent waits until its next turn.
// Thread-compatible.
class WorkerStream {
 public:
  explicit WorkerStream(ImitatedWorker::Pod pod) : imitated(std::move(pod)) {}

  bool connected() const { return session_ != 0; }
  bool closed() const;  // by the hub

  void Connect(topology::Hub& hub);
  // `hub`: null when it is gone, and all its streams with it.
  void Disconnect(topology::Hub* hub);
  void Say(topology::Hub& hub, const topology::WorkerMessage& message);
  // To all that it was sent; `on_heard` is told of each before.
  void Answer(topology::Hub& hub,
              const std::function<void(const topology::HubMessage&)>& on_heard = {});

  ImitatedWorker imitated;

 private:
  struct Inbox;

  std::shared_ptr<Inbox> inbox_;
  topology::SessionId session_ = 0;
};

}  // namespace grapevine::simulation
