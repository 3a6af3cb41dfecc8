#include "operator/graph/exponential.h"

#include <utility>

#include "operator/graph/chords.h"

namespace grapevine::graph {

Graph BuildExponential(std::vector<Member> members) {
  std::vector<size_t> hops = {1};
  for (size_t power = 2; power < members.size(); power *= 2) hops.push_back(power + 1);
  return BuildChords(std::move(members), hops);
}

}  // namespace grapevine::graph
