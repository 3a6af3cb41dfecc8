#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "worker/control/session.h"

namespace grapevine::control {

// Parts that do nothing but note what they were told, in words. Answers are the test's to give.
// Lives on the control thread.
class RecordingParts : public Parts {
 public:
  void Build(const proto::Assign& assign) override {
    Note("build {} as {}", assign.job_uid(), assign.member());
    queue.reset();
  }
  void BecomeMember(uint64_t member) override {
    Note("become {}", member);
    if (!queue) {
      queue = std::make_unique<train::LeaseQueue>(
          train::LeaseQueueOptions{.batches_per_data_epoch = 100});
    }
    queue->Clear();
  }
  void Begin(const proto::Start& start) override {
    Note("begin {}", proto::Start::From_Name(start.from()));
  }
  void SetSpec(const std::string& spec_json) override { Note("spec {}", spec_json); }
  void SetView(const gossip::View& view) override {
    Note("view {} of {}", view.epoch, view.neighbours.size());
  }
  void SetProgress(const proto::Progress& progress) override {
    Note("progress {}", progress.members());
  }
  void Train() override { Note("train"); }
  void Finish() override { Note("finish"); }
  void Idle() override { Note("idle"); }
  void Evaluate(uint64_t id) override { Note("evaluate {}", id); }
  void WriteCheckpoint(const proto::WriteCheckpoint& request) override {
    Note("checkpoint {} {}", request.id(), request.path());
  }
  void Finalize(const proto::Finalize& request) override { Note("finalize {}", request.id()); }
  void EvaluateSlice(const proto::EvaluateSlice& request) override {
    Note("slice {} of {}: {} to {}", request.id(), request.finalize(), request.first_sample(),
         request.end_sample());
  }
  void FillReport(proto::Report& report) override {
    report.set_steps(steps);
    report.set_settled(agrees);
  }
  void Stop(const std::string& reason, bool refused) override {
    Note("{}: {}", refused ? "refused" : "stop", reason);
  }
  train::LeaseQueue* leases() override { return queue.get(); }
  bool settled() const override { return agrees; }

  // What was noted since the last call.
  std::vector<std::string> Take() { return std::exchange(told, {}); }

  std::vector<std::string> told;
  std::unique_ptr<train::LeaseQueue> queue;
  int64_t steps = 0;
  bool agrees = false;

 protected:
  virtual void OnNote(const std::string&) {}

 private:
  template <typename... Args>
  void Note(fmt::format_string<Args...> format, Args&&... args) {
    told.push_back(fmt::format(format, std::forward<Args>(args)...));
    OnNote(told.back());
  }
};

}  // namespace grapevine::control
