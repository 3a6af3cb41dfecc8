#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/server.h>

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/transport/grpc/hello.h"
#include "worker/transport/grpc/link.h"
#include "worker/transport/transport.h"

namespace grapevine::transport {

// Streams whose Hello has not come, at a time; more are refused.
inline constexpr int kMaxStrangers = 64;
// Frames waiting for one peer; the engine's windows keep far below, and a peer that gets here is
// lost.
inline constexpr size_t kMaxQueuedFrames = 4096;

struct GrpcOptions {
  std::string listen = "127.0.0.1:0";  // host:port; port 0 takes a free one
  std::string advertised_host;         // what peers dial; empty: the host of `listen`
  // A dial, with its Hello answered, takes no longer; nor does a stranger's first message.
  Duration greeting_timeout = 2s;
};

// Members that are processes: one bidirectional gRPC stream of byte buffers per pair, on a TCP
// connection of its own. One completion queue serves the listening and the dialling end, and only
// Poll reads it. gRPC's own threads do no more than timers and name resolution; they may be the
// ones that let a payload's owner go.
//
// A peer that dies is lost within milliseconds (its kernel says so), one that is frozen or cut off
// after 2 s (keepalive). Messages over 16 MiB break the stream before this end can say why:
// kPeerLost, where others that are malformed are kRejected.
//
// Lives on the gossip thread, except what Transport says otherwise.
class GrpcTransport final : public Transport {
 public:
  // Listens. Unavailable when it cannot, naming the address. Also sets how the process keeps freed
  // memory, so call it before the memory of the model is allocated.
  static absl::StatusOr<std::unique_ptr<GrpcTransport>> Create(const GrpcOptions& options);
  ~GrpcTransport() override;  // ends every operation under way; takes milliseconds

  const std::string& address() const override { return address_; }
  void SetIdentity(const Identity& identity) override;
  void SetAddress(MemberId peer, const std::string& address) override;
  void Forget(MemberId peer) override;
  void Send(MemberId peer, Frame frame) override;
  void Poll(Time deadline, std::vector<Event>& events) override;
  void Wake() override;
  Traffic traffic() const override;

 private:
  struct Peer {
    std::string address;
    Link* dialled = nullptr;
    Link* accepted = nullptr;
    Link* sender =
        nullptr;  // the one that frames go out on, kept while it lives: their order holds
  };

  explicit GrpcTransport(Duration greeting_timeout) : greeting_timeout_(greeting_timeout) {}

  void Handle(const Link::Tag& tag, bool ok);
  void OnStarted(Link& link, bool ok);
  void OnAccepted(AcceptedLink& link);
  void OnRead(Link& link, bool ok);
  void OnFinished(Link& link);

  void AwaitLink();
  Link* Dial(MemberId to, Peer& peer);
  void Greet(Link& link);
  void OnHello(Link& link);
  void WriteNext(Link& link);

  // The stream broke by itself: fetch the reason where there is one, then Lose.
  void Broken(Link& link);
  // Closes both links of a peer and says so.
  void Lose(MemberId member, const std::string& reason);
  // Closes the link, telling the other end why where that is possible, and says so.
  void Reject(Link& link, const absl::Status& reason);
  void Close(Link& link);
  // Takes the link out of the books; its operations under way keep it.
  void Detach(Link& link);
  void CloseBoth(MemberId member);
  void CloseAll();
  void Release(Link& link);

  Time EarliestGreetingDeadline() const;
  void ExpireGreetings();
  int CountStrangers() const;
  void DropEventsOf(MemberId member);
  void Report(Event::Kind kind, MemberId peer, std::string reason);

  const Duration greeting_timeout_;
  std::string address_;
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> completions_;
  std::unique_ptr<grpc::Server> server_;

  bool has_identity_ = false;
  Identity identity_;
  bool ending_ = false;
  std::unordered_map<Link*, std::unique_ptr<Link>> links_;
  std::unordered_map<MemberId, Peer> peers_;
  int greeting_ = 0;  // links that a greeting deadline holds for
  std::vector<Event> pending_;

  grpc::Alarm alarm_;
  std::atomic<bool> alarm_set_ = false;
  std::atomic<int64_t> bytes_sent_ = 0;
  std::atomic<int64_t> bytes_received_ = 0;
};

}  // namespace grapevine::transport
