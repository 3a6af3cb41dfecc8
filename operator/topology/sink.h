#pragma once

#include "operator/api/topology.pb.h"

namespace grapevine::topology {

using v1::HubMessage;
using v1::WorkerMessage;

// Where the hub's messages to one worker go: the stream of operator/grpc, or a test's list. Both
// are called with the hub's lock held, so neither may wait nor call the hub. Thread-safe.
class Sink {
 public:
  virtual ~Sink() = default;

  // Queues a message. False when the bounded queue is full: the worker does not read, and the hub
  // cuts it off with Close.
  virtual bool Send(const HubMessage& message) = 0;

  // Ends the stream once what is queued has been sent. OnDisconnect follows, from another thread.
  virtual void Close() = 0;
};

}  // namespace grapevine::topology
