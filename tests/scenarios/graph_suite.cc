#include <algorithm>
#include <stdexcept>

#include "fmt/format.h"
#include "operator/graph/invariants.h"
#include "operator/graph/mixing.h"
#include "operator/graph/planner.h"
#include "tests/scenarios/scenario.h"

namespace grapevine::scenarios {
namespace {

using graph::Graph;

// policy Complete|RandomRegular|... [degree=8]
// plan [join=1,2] [leave=3]    the reason, who gets a new view, and the graph, or its size
// [quiet=1] repair gap
class GraphSuite final : public Suite {
 public:
  std::string Run(const Command& command) override {
    if (command.name == "policy") return SetPolicy(command);
    if (command.name == "plan") return Plan(command);
    if (command.name == "repair") return Repair();
    if (command.name == "gap") return fmt::format("{:.3f}\n", graph::SpectralGap(graph_));
    throw std::runtime_error("unknown command " + command.name);
  }

 private:
  std::string SetPolicy(const Command& command) {
    const std::optional<graph::Family> family = graph::ParseFamily(command.Word(0));
    if (!family) throw std::runtime_error("no such family");
    policy_ = {*family, static_cast<size_t>(command.Number("degree", 8))};
    return "";
  }

  std::string Plan(const Command& command) {
    std::vector<api::MemberId> members;
    for (const graph::Member& member : graph_.members()) members.push_back(member.id);
    for (api::MemberId id : command.Members("leave")) std::erase(members, id);
    for (api::MemberId id : command.Members("join")) members.push_back(id);
    return Show(graph::Plan(graph_, members, policy_, rng_), command.Number("quiet", 0) != 0);
  }

  std::string Repair() {
    const std::optional<graph::RepairResult> repair = graph::Repair(graph_, policy_, rng_);
    return repair ? Show(repair->plan, true) : "well mixed\n";
  }

  std::string Show(const graph::PlanResult& plan, bool quiet) {
    graph_ = plan.next;
    std::string text = fmt::format("{}: {}\n", graph::FamilyName(plan.family), plan.reason);
    for (const std::string& violation : graph::Violations(graph_, {})) {
      text += fmt::format("violated: {}\n", violation);
    }
    if (quiet) {
      return text + fmt::format("{} members, {} edges, {} new views\n", graph_.size(),
                                graph_.edge_count(), plan.edits.changed.size());
    }
    text += plan.edits.changed.empty()
                ? "no new views\n"
                : fmt::format("new views: {}\n", fmt::join(plan.edits.changed, " "));
    return text + graph_.Describe();
  }

  Graph graph_;
  graph::Policy policy_;
  graph::Rng rng_{1};
};

}  // namespace

std::unique_ptr<Suite> MakeGraphSuite() { return std::make_unique<GraphSuite>(); }

}  // namespace grapevine::scenarios
