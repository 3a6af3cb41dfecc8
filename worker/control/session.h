#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "operator/api/topology.pb.h"
#include "operator/base/clock.h"
#include "worker/gossip/view.h"
#include "worker/train/lease_queue.h"

namespace grapevine::control {

namespace proto = grapevine::topology::v1;

// The worker as its session sees it: what the hub's messages do to it. What takes long is begun
// here and answered later, by the On... call of the session that is named, on the control thread.
//
// Lives on the control thread.
class Parts {
 public:
  virtual ~Parts() = default;

  // Makes what the spec asks for: dataset, model, store. -> OnBuilt or OnUnfit. Asked again only
  // for another job_uid, whose answer alone counts then, or when nothing could be built before;
  // `member` is new each time.
  virtual void Build(const proto::Assign& assign) = 0;
  // A new id with everything built: speak to peers as it, forget views and leases of the old one.
  virtual void BecomeMember(uint64_t member) = 0;
  // From seed, checkpoint, a donor, or what is in memory, if that was ever a member's. Training is
  // paused. -> OnStarted or, of a checkpoint, OnUnreadable; always, and until then no other Begin.
  virtual void Begin(const proto::Start& start) = 0;

  // What was built goes on under this spec: what may not change while a job runs is as it was.
  virtual void SetSpec(const std::string& spec_json) = 0;
  virtual void SetView(const gossip::View& view) = 0;
  virtual void SetProgress(const proto::Progress& progress) = 0;
  // Admitted: train from now on.
  virtual void Train() = 0;
  virtual void Finish() = 0;
  virtual void Idle() = 0;                 // after Finish: no more exchanges
  virtual void Evaluate(uint64_t id) = 0;  // -> OnEvaluated
  virtual void WriteCheckpoint(
      const proto::WriteCheckpoint& request) = 0;                       // -> OnCheckpointWritten
  virtual void Finalize(const proto::Finalize& request) = 0;            // -> OnFinalized
  virtual void EvaluateSlice(const proto::EvaluateSlice& request) = 0;  // -> OnSliceEvaluated
  virtual void FillReport(proto::Report& report) = 0;  // all but what concerns leases
  // The session is over: the job has ended, or will not have this worker.
  virtual void Stop(const std::string& reason, bool refused) = 0;

  // Null until built.
  virtual train::LeaseQueue* leases() = 0;
  virtual bool settled() const = 0;  // as the next report will say it
};

struct SessionOptions {
  std::string name_space;
  std::string job;
  std::string pod;
  std::string pod_uid;
  std::string address;  // where peers reach this worker
};

// What a worker says to the hub and does on its word, without socket, thread or clock: register,
// build, start, train, report, answer. Streams come and go below it; it presents its id on each new
// one and goes on with what it had. While there is none, training goes on with the leases in hand
// and then at random.
//
// Lives on the control thread.
class Session {
 public:
  // Messages leave through `send`; it is called only between OnConnected and OnDisconnected.
  Session(const SessionOptions& options, Parts& parts,
          std::function<void(const proto::WorkerMessage&)> send);

  void OnConnected();
  void OnDisconnected();
  void OnMessage(const proto::HubMessage& message);

  // Whether what was built for this job is still wanted.
  bool Awaits(const std::string& job_uid) const { return building_ && job_uid == job_uid_; }
  // Ignored unless awaited.
  void OnBuilt(const std::string& job_uid, const proto::Built& built);
  void OnUnfit(const std::string& job_uid, const std::string& reason, const std::string& message);
  void OnStarted(const absl::Status& status, double seconds);
  // `instead`: the newest one left that could not be found unreadable; empty for none.
  void OnUnreadable(const absl::Status& why, const proto::Checkpoint& instead);
  void OnEvaluated(uint64_t id, const absl::Status& status, const proto::Evaluated& result);
  void OnCheckpointWritten(const proto::CheckpointWritten& result);
  void OnFinalized(const proto::Finalized& result);
  void OnSliceEvaluated(const proto::SliceEvaluated& result);

  // All leases are worked off: the hub may be waiting for the last of them.
  void OnWorkedOff() { worked_off_ = true; }

  // Each second a report; sooner when the leases in hand will not last until the next one, and when
  // there is something that the hub may wait for. Call it at least every kTickInterval.
  void Tick(Time now);

  // SIGTERM: hand the leases back and say goodbye. Nothing is sent after it.
  void Leave(const std::string& reason);

  uint64_t member() const { return member_; }
  bool admitted() const { return admitted_; }

  static constexpr Duration kReportInterval = 1s;
  static constexpr Duration kTickInterval = 20ms;
  static constexpr Duration kNewsInterval = 20ms;  // from any report to one for the sake of news

 private:
  // What the hub asked for by id, and what was answered.
  struct Request {
    uint64_t id = 0;
    std::optional<proto::WorkerMessage> answer;
  };

  void Send(const proto::WorkerMessage& message);
  void OnDirective(const proto::HubMessage& message);
  void OnAssign(const proto::Assign& assign);
  void OnSpec(const std::string& spec_json);
  void TellSpec();
  void BeginAnew();
  void OnStart(const proto::Start& start);
  void BeginNext();
  std::optional<proto::Start> EndStart();
  void OnView(const proto::View& view);
  void OnLease(const proto::Lease& lease);
  void SendBuilt();
  void SendReport();
  bool LeasesRunLow();
  // Since the last report.
  bool HasNews() const;
  // False when the request is known; what was answered to it is then said again.
  bool Begins(uint64_t id);
  void Answer(uint64_t id, const proto::WorkerMessage& message);

  const SessionOptions options_;
  Parts& parts_;
  const std::function<void(const proto::WorkerMessage&)> send_;

  bool connected_ = false;
  bool registered_ = false;  // on this stream
  bool left_ = false;
  uint64_t member_ = 0;
  std::string job_uid_;
  std::string spec_json_;      // the newest
  bool spec_changed_ = false;  // since the parts were told of it
  bool building_ = false;
  std::optional<proto::Built> built_;
  bool beginning_ = false;                // a Begin is to be answered
  std::optional<proto::Start> starting_;  // of it; empty when the hub no longer waits for it
  std::optional<proto::Start> next_start_;
  bool admitted_ = false;
  bool holds_state_ = false;  // in memory, once a member's: a start alone has not been trained on
  bool finishing_ = false;
  gossip::View view_;
  std::deque<Request> requests_;
  std::optional<Time> reported_at_;
  int64_t unstarted_before_ = 0;  // leased batches, at the tick before
  bool asked_for_lease_ = false;  // since the last one came, or the last regular report
  bool worked_off_ = false;       // not reported yet
  bool settled_ = false;          // as last reported
};

}  // namespace grapevine::control
