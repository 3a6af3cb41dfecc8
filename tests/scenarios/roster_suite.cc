#include <algorithm>
#include <stdexcept>

#include "fmt/format.h"
#include "operator/membership/roster.h"
#include "tests/scenarios/scenario.h"

namespace grapevine::scenarios {
namespace {

using membership::Decision;
using membership::Holds;
using membership::PodState;
using membership::Registrant;

template <typename Value>
Value Named(const std::string& text, std::initializer_list<std::pair<const char*, Value>> names) {
  for (const auto& [name, value] : names) {
    if (text == name) return value;
  }
  throw std::runtime_error(fmt::format("'{}' is none of the names", text));
}

// pod w-1 [running|terminating|disrupted|finished|gone]
// register 1 pod=w-1 [holds=state]
// ready 1 holds=seed|checkpoint|copy|state [checkpoint=c1]
// leave 1, break 1, mend 1
// checkpoint c1, finish
// wait 0.1 [silent=2,3]      time passes; all the others have just reported
// decide                     prints the decision and applies it
// show
class RosterSuite final : public Suite {
 public:
  std::string Run(const Command& command) override {
    if (command.name == "pod") return SetPod(command);
    if (command.name == "register") return Register(command);
    if (command.name == "wait") return Wait(command);
    if (command.name == "decide") return Decide();
    if (command.name == "show") return Show();
    if (command.name == "checkpoint") {
      world_.checkpoint = command.Word(0);
    } else if (command.name == "finish") {
      world_.finishing = true;
    } else {
      Change(Find(command.Member()), command);
    }
    return "";
  }

 private:
  std::string SetPod(const Command& command) {
    const std::string& name = command.Word(0);
    std::erase_if(world_.pods, [&](const membership::Pod& pod) { return pod.name == name; });
    const std::string state = command.words.size() > 1 ? command.Word(1) : "running";
    if (state == "gone") return "";
    world_.pods.push_back({name, Named<PodState>(state, {{"running", PodState::kRunning},
                                                         {"terminating", PodState::kTerminating},
                                                         {"disrupted", PodState::kDisrupted},
                                                         {"finished", PodState::kFinished}})});
    return "";
  }

  static Holds HoldsOf(const Command& command) {
    return Named<Holds>(command.Text("holds", "nothing"), {{"nothing", Holds::kNothing},
                                                           {"seed", Holds::kSeed},
                                                           {"checkpoint", Holds::kCheckpoint},
                                                           {"copy", Holds::kCopy},
                                                           {"state", Holds::kState}});
  }

  std::string Register(const Command& command) {
    world_.registrants.push_back({.id = command.Member(),
                                  .pod = command.Text("pod", "w-" + command.Word(0)),
                                  .last_report = now_,
                                  .holds = HoldsOf(command)});
    return "";
  }

  Registrant& Find(api::MemberId id) {
    for (Registrant& registrant : world_.registrants) {
      if (registrant.id == id) return registrant;
    }
    throw std::runtime_error(fmt::format("{} is not registered", id));
  }

  void Change(Registrant& registrant, const Command& command) {
    if (command.name == "ready") {
      registrant.ready_since = now_;
      registrant.holds = HoldsOf(command);
      registrant.held_checkpoint = command.Text("checkpoint", "");
    } else if (command.name == "leave") {
      registrant.leaving = true;
    } else if (command.name == "break") {
      registrant.broken_since = now_;
    } else if (command.name == "mend") {
      registrant.broken_since.reset();
    } else {
      throw std::runtime_error("unknown command " + command.name);
    }
  }

  std::string Wait(const Command& command) {
    now_ += command.Seconds();
    const std::vector<api::MemberId> silent = command.Members("silent");
    for (Registrant& registrant : world_.registrants) {
      if (registrant.broken_since || std::ranges::count(silent, registrant.id) > 0) continue;
      registrant.last_report = now_;
    }
    return "";
  }

  std::string Decide() {
    const Decision decision = membership::Decide(world_, now_);
    for (const auto* list : {&decision.remove, &decision.forget}) {
      for (const membership::Removal& removal : *list) {
        std::erase_if(world_.registrants,
                      [&](const Registrant& registrant) { return registrant.id == removal.id; });
      }
    }
    for (api::MemberId id : decision.admit) Find(id).member = true;
    for (const membership::Assignment& assignment : decision.assign) {
      Registrant& registrant = Find(assignment.id);
      registrant.assigned = assignment.role;
      registrant.assigned_checkpoint = assignment.checkpoint;
    }
    if (decision.leave_finish) world_.finishing = false;
    return membership::Describe(decision, now_);
  }

  std::string Show() const {
    std::string text;
    for (const Registrant& registrant : world_.registrants) {
      text += fmt::format("{} on {}: {}\n", registrant.id, registrant.pod,
                          registrant.member ? "member" : membership::RoleName(registrant.assigned));
    }
    return text.empty() ? "nobody\n" : text;
  }

  membership::Observation world_;
  Time now_{1000s};
};

}  // namespace

std::unique_ptr<Suite> MakeRosterSuite() { return std::make_unique<RosterSuite>(); }

}  // namespace grapevine::scenarios
