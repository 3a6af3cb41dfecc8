#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace grapevine::monitoring {

// condition=~"Failed|Succeeded" of a selector. A value may hold a dashboard's $variable.
struct Matcher {
  std::string label;
  std::string operation;  // = != =~ !~
  std::string value;

  bool operator==(const Matcher&) const = default;
};

struct Selector {
  std::string metric;
  std::vector<Matcher> matchers;

  bool operator==(const Selector&) const = default;
};

struct Query {
  std::vector<Selector> selectors;  // in the query's order
  std::set<std::string> labels;     // by which it groups or joins
};

// What a PromQL query names. It must be one that Prometheus accepts: nothing is checked here.
Query ParseQuery(std::string_view text);

}  // namespace grapevine::monitoring
