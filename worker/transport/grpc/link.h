#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>

#include <deque>
#include <memory>
#include <string>

#include "operator/base/clock.h"
#include "worker/transport/transport.h"

namespace grapevine::transport {

inline constexpr char kExchangeMethod[] = "/grapevine.Peer/Exchange";

// One stream, from its first operation to its last: which operations are under way and which frames
// wait. It decides nothing. Each operation ends as a tag in the completion queue, and its link must
// live until then: see idle().
//
// Lives on the gossip thread.
class Link {
 public:
  enum class Operation { kStart, kRead, kWrite, kFinish };
  struct Tag {
    Link* link;
    Operation operation;
  };
  enum class State {
    kStarting,  // dialled and not yet connected, or waiting to be dialled
    kGreeting,  // connected; the other end's Hello has not come
    kOpen,      // both ends know each other
    kEnding,    // broken; the reason is being fetched
    kClosed,    // only operations under way keep it
  };

  virtual ~Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Ends as kStart.
  virtual void Start() = 0;
  // Makes the operations under way end soon, with failure.
  virtual void Cancel() = 0;
  // Ends as kFinish: a dialled link then has the other end's reason in status(), an accepted one
  // has sent `reason`. REQUIRES, for an accepted one: no write is under way.
  virtual void Finish(const grpc::Status& reason) = 0;

  // One of each at a time. End as kRead, with the message in received(), and as kWrite.
  void Read();
  void Write(const grpc::ByteBuffer& message);

  // Notes that `operation` has ended.
  void Ended(Operation operation);
  bool idle() const { return under_way_ == 0; }
  bool writing() const { return writing_; }
  // Whether greeting_deadline holds.
  bool Greets() const {
    return state == State::kGreeting || (state == State::kStarting && dialled);
  }

  const grpc::ByteBuffer& received() const { return received_; }
  const grpc::Status& status() const { return status_; }

  State state = State::kStarting;
  MemberId peer = 0;        // 0: an accepted link whose Hello has not come
  Time greeting_deadline;   // from the dial or the acceptance until kOpen
  std::deque<Frame> queue;  // to send once open

  const bool dialled;

 protected:
  explicit Link(bool dialled);

  Tag* Begin(Operation operation);

  grpc::Status status_;

 private:
  virtual grpc::internal::AsyncReaderInterface<grpc::ByteBuffer>& reader() = 0;
  virtual grpc::internal::AsyncWriterInterface<grpc::ByteBuffer>& writer() = 0;

  Tag tags_[4];
  int under_way_ = 0;
  bool writing_ = false;
  grpc::ByteBuffer received_;
};

// A link that this end opens, on a connection of its own. Lives on the gossip thread.
class DialledLink final : public Link {
 public:
  DialledLink(MemberId peer, const std::string& address, grpc::CompletionQueue& queue);

  void Start() override;
  void Cancel() override { call_.TryCancel(); }
  void Finish(const grpc::Status& reason) override;

 private:
  grpc::internal::AsyncReaderInterface<grpc::ByteBuffer>& reader() override { return *stream_; }
  grpc::internal::AsyncWriterInterface<grpc::ByteBuffer>& writer() override { return *stream_; }

  grpc::ClientContext call_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

// A link that another end opens; Start waits for it. Lives on the gossip thread.
class AcceptedLink final : public Link {
 public:
  AcceptedLink(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue);

  void Start() override;
  void Cancel() override { call_.TryCancel(); }
  void Finish(const grpc::Status& reason) override;

  const std::string& method() const { return call_.method(); }

 private:
  grpc::internal::AsyncReaderInterface<grpc::ByteBuffer>& reader() override { return stream_; }
  grpc::internal::AsyncWriterInterface<grpc::ByteBuffer>& writer() override { return stream_; }

  grpc::AsyncGenericService& service_;
  grpc::ServerCompletionQueue& completions_;
  grpc::GenericServerContext call_;
  grpc::GenericServerAsyncReaderWriter stream_;
};

}  // namespace grapevine::transport
