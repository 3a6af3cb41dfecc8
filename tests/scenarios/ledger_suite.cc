#include <optional>
#include <stdexcept>

#include "fmt/format.h"
#include "operator/progress/leases.h"
#include "tests/scenarios/scenario.h"

namespace grapevine::scenarios {
namespace {

using progress::Lease;
using progress::Ledger;

std::string Ranges(const Lease& lease) {
  std::string text;
  for (const progress::BatchRange& range : lease.ranges) {
    text += fmt::format(" {}:{}-{}", range.data_epoch, range.first_batch, range.end_batch);
  }
  return text;
}

// job samples=100 batch=10 epochs=2
// rate 1 per_second=50
// grant 1 members=2
// report 1 lease=1 done=3
// recall 2                  member 2 has nothing to do
// return 1 lease=1 done=3 unused=4
// release 1
// wait 2.0                  then prints the leases that expired
// suspend, resume, save, restore, reset, show
class LedgerSuite final : public Suite {
 public:
  std::string Run(const Command& command) override {
    if (command.name == "job") return Begin(command);
    if (!ledger_) throw std::runtime_error("begin with a job");
    if (command.name == "rate") {
      ledger_->SetRate(command.Member(), static_cast<double>(command.Number("per_second")));
      return "";
    }
    if (command.name == "grant") return Grant(command);
    if (command.name == "recall") return Recall(command);
    if (command.name == "report") {
      return Credited(
          ledger_->Report(command.Member(), command.Number("lease"), command.Number("done"), now_));
    }
    if (command.name == "return") {
      return Credited(ledger_->Return(command.Member(), command.Number("lease"),
                                      command.Number("done"), command.Number("unused"), now_));
    }
    if (command.name == "wait") return Wait(command);
    return Simple(command);
  }

 private:
  std::string Begin(const Command& command) {
    ledger_.emplace(progress::LedgerOptions{.samples_per_epoch = command.Number("samples"),
                                            .batch_size = command.Number("batch"),
                                            .data_epochs = command.Number("epochs")});
    return ledger_->Describe();
  }

  std::string Grant(const Command& command) {
    const std::optional<Lease> lease = ledger_->Grant(command.Member(), command.Number("members"));
    return lease ? fmt::format("lease {}:{}\n", lease->id, Ranges(*lease)) : "nothing to grant\n";
  }

  std::string Recall(const Command& command) {
    const std::optional<progress::RecallRequest> request = ledger_->Recall(command.Member(), now_);
    return request ? fmt::format("ask {} for lease {}\n", request->owner, request->lease)
                   : "nobody to ask\n";
  }

  static std::string Credited(const absl::StatusOr<int64_t>& samples) {
    return samples.ok() ? fmt::format("{} samples counted\n", *samples)
                        : fmt::format("refused: {}\n", std::string(samples.status().message()));
  }

  std::string Wait(const Command& command) {
    now_ += command.Seconds();
    std::string text;
    for (const Lease& lease : ledger_->Expire(now_)) {
      text += fmt::format("lease {} of {} expires:{}\n", lease.id, lease.owner, Ranges(lease));
    }
    return text;
  }

  std::string Simple(const Command& command) {
    if (command.name == "release") {
      ledger_->Release(command.Member());
    } else if (command.name == "suspend" || command.name == "resume") {
      ledger_->SetSuspended(command.name == "suspend");
    } else if (command.name == "save") {
      saved_ = ledger_->Snapshot();
    } else if (command.name == "restore") {
      if (absl::Status status = ledger_->Restore(saved_); !status.ok()) {
        return fmt::format("refused: {}\n", std::string(status.message()));
      }
    } else if (command.name == "reset") {
      ledger_->Reset();
    } else if (command.name != "show") {
      throw std::runtime_error("unknown command " + command.name);
    }
    return command.name == "show" ? ledger_->Describe() : "";
  }

  std::optional<Ledger> ledger_;
  progress::Progress saved_;
  Time now_{};
};

}  // namespace

std::unique_ptr<Suite> MakeLedgerSuite() { return std::make_unique<LedgerSuite>(); }

}  // namespace grapevine::scenarios
