#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "operator/api/topology.pb.h"
#include "operator/base/clock.h"
#include "operator/graph/graph.h"
#include "operator/topology/accounts.h"
#include "operator/topology/directives.h"
#include "operator/topology/final_evaluation.h"
#include "operator/topology/job_config.h"
#include "operator/topology/job_record.h"
#include "operator/topology/job_stats.h"
#include "operator/topology/lease_desk.h"
#include "operator/topology/loss_watch.h"
#include "operator/topology/rate_window.h"
#include "operator/topology/sink.h"
#include "operator/topology/snapshot.h"

namespace grapevine::topology {

// What Start says for a role.
v1::Start::From FromOf(membership::Role role);

// One job in the hub: its registrants, what they said, and what they were told. Knows sinks, but
// neither sessions nor threads. Thread-compatible: the hub's lock covers it.
class Job {
 public:
  // `first_request`: the number of its first request to a member.
  Job(const JobConfig& config, const JobRecord& before, uint64_t first_request, Time now);

  // Tells those who were assigned what of the spec has changed for them.
  void SetConfig(const JobConfig& config);
  const JobConfig& config() const { return config_; }

  // --- from the streams (job.cc) ---

  // Takes back the member that it presents, or makes a new registrant, and answers Assign. An error
  // when it claims an id or epoch that cannot have been given; Unavailable when it shall come
  // again.
  absl::StatusOr<MemberId> OnRegister(const v1::Register& registration, std::shared_ptr<Sink> sink,
                                      Time now);
  // True when the reconciler should look; an error when the worker broke the protocol and is to be
  // cut off.
  absl::StatusOr<bool> OnMessage(MemberId id, const WorkerMessage& message, Time now);
  // The same; ignored unless `sink` is the registrant's present one.
  bool OnBroken(MemberId id, const Sink* sink, Time now);
  void StopEveryone(const std::string& reason);

  // --- from the reconciler (job_apply.cc) ---

  Snapshot Observe() const;
  uint64_t Apply(const Directives& directives, const Clock& clock);

  // --- from time ---

  void Tick(Time now);
  // The hub did not run for `pause`: in it nobody was silent, nor any stream broken.
  void Forgive(Duration pause);

  JobStats Stats() const;

  // --- for a later hub (job_takeover.cc) ---

  JobRecord Record();
  bool NoteRecorded();

 private:
  enum class Standing : uint8_t {
    kWaiting,
    kMember,
    kDeparted,  // left the roster; its stream is still open and may hand back leases
  };

  struct Registrant {
    MemberId id = 0;
    Standing standing = Standing::kWaiting;
    std::string pod_uid;
    std::string address;
    std::shared_ptr<Sink> sink;  // null while the stream is broken
    bool built = false;
    bool settled = false;
    bool awaited = false;  // an earlier hub's member that this one has not heard of yet
    double copy_seconds = 0;
    std::optional<std::string> unreadable;  // why it could not load what it was assigned last
    uint64_t last_report = 0;               // its number
    uint64_t recorded_report = 0;           // of these, the last one whose leases are on record
    membership::Registrant rules;           // its `id` and `member` are set by Observe
  };

  Registrant* Find(MemberId id);
  void Send(Registrant& registrant, const HubMessage& message);
  void SendView(Registrant& registrant);
  void BroadcastProgress(Time now);
  bool MayResume(const Registrant& member, const v1::Register& registration) const;
  absl::Status Resume(Registrant& member, const v1::Register& registration, Time now);
  void SendPending(Registrant& member);

  absl::Status TakeBuilt(Registrant& registrant, const v1::Built& built);
  absl::StatusOr<bool> OnReady(Registrant& registrant, const v1::Ready& ready, Time now);
  bool OnReport(Registrant& registrant, const v1::Report& report, Time now);
  bool OnUnfit(const Registrant& registrant, const v1::Unfit& unfit);
  bool OnEvaluated(const Registrant& registrant, const v1::Evaluated& evaluated, Time now);
  bool OnCheckpointWritten(const Registrant& registrant, const v1::CheckpointWritten& written,
                           Time now);
  bool OnUnreadable(Registrant& registrant, const v1::Unreadable& unreadable);
  void NoteCheckpoint(const v1::Checkpoint& checkpoint);
  // The newest checkpoint, once somebody could not load it and nobody is still about to.
  void GiveUpUnreadable();
  // Since the last call the samples were used up, or a data epoch was completed.
  bool ProgressIsNews();

  void Begin(const Directives& directives, Time now);
  // To the progress of the checkpoint that a new roster loaded, or to zero. REQUIRES: desk_.
  void SetBack(const Directives& directives);
  void Publish(const Publication& publication, const Clock& clock);
  RosterChange Depart(const membership::Removal& removal, bool lost, Time now);
  std::optional<RosterChange> Admit(MemberId id);
  void Erase(MemberId id, Time now);
  void Assign(const membership::Assignment& assignment);
  void AddDonors(MemberId joiner, v1::Start& start) const;
  void SetGranting(bool granting, Time now);
  void Ask(const Directives& directives, Time now);
  // Whoever was asked for something and is gone, is asked no more.
  void GiveUpOn(MemberId member, Time now);

  // --- from an earlier hub (job_takeover.cc) ---

  void TakeOver(const JobRecord& before, Time now);
  // So shortly after it that members may come which the record does not have.
  bool JustTakenOver(Time now) const;
  // It comes as one of those, and was not seen to leave.
  bool IsNewerThanRecord(const v1::Register& registration, Time now) const;
  void AddMissing(const v1::Register& registration, Time now);
  void TakeOverProgress();
  void AwaitMembers(Time now);

  // --- the end of training (job_end.cc) ---

  void SendToMembers(const HubMessage& message);
  void SendFinish(Time now);
  void SendIdle();
  bool OnFinalized(const Registrant& registrant, const v1::Finalized& finalized);
  bool OnSliceEvaluated(const Registrant& registrant, const v1::SliceEvaluated& evaluated,
                        Time now);
  // REQUIRES: final_evaluation_.
  void ServeSlices();
  bool FailFinalize(const std::string& error);
  bool EndFinalize(Time now);
  void ForgetFinalize();

  JobConfig config_;
  const Time made_at_;
  uint64_t epoch_before_ = 0;                          // of the record of an earlier hub
  std::optional<progress::Progress> progress_before_;  // until there is a desk
  uint64_t first_epoch_ = 1;                           // of this hub
  std::set<MemberId> left_early_;                      // while JustTakenOver
  size_t awaited_ = 0;                                 // registrants
  MemberId next_member_ = 1;
  std::map<MemberId, Registrant> registrants_;
  size_t members_ = 0;
  std::shared_ptr<const graph::Graph> graph_;
  uint64_t epoch_ = 0;
  uint64_t graph_epoch_ = 0;  // of graph_; lower than epoch_ where an earlier hub has gone on
  int64_t graph_changes_ = 0;
  Histogram graph_edits_{kEditsBounds};
  Histogram publish_seconds_{kPublishBounds};

  std::optional<uint64_t> layout_hash_;  // of the first Built, as is the size of the training set
  int64_t dataset_samples_ = 0;
  std::unique_ptr<LeaseDesk> desk_;  // from the first Built on
  int64_t samples_before_ = 0;
  std::vector<v1::Checkpoint> checkpoints_;  // the newest ones that were named, by samples

  // What Observe says of things that are asked for and answered, kept as it happens.
  Snapshot state_;
  uint64_t next_request_;
  std::optional<HubMessage> finalize_;               // as sent, while it is not answered
  std::optional<FinalEvaluation> final_evaluation_;  // once it is
  uint64_t finalized_as_ = 0;                        // its request
  std::string final_checkpoint_;
  std::map<MemberId, HubMessage> slices_;  // of final_evaluation_, as sent and not answered
  std::optional<HubMessage> evaluate_;
  std::optional<HubMessage> write_checkpoint_;
  double evaluation_data_epochs_ = 0;  // when it was asked for

  // As of the last Record, for when it is written.
  struct Recorded {
    bool used_up = false;
    std::map<MemberId, uint64_t> last_reports;
  };
  std::optional<Recorded> recorded_;

  Accounts accounts_;
  std::deque<Evaluation> evaluations_;
  std::optional<Evaluation> result_;
  RateWindow samples_rate_;
  RateWindow exchanges_rate_;
  LossWatch loss_watch_;
  std::optional<Time> rates_noted_;
  std::optional<Time> progress_told_;  // also with each change of the roster
  int64_t news_data_epochs_ = 0;
  bool news_used_up_ = false;
};

}  // namespace grapevine::topology
