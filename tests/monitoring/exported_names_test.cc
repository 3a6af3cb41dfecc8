// What monitoring/ names is exported, and what is exported is looked at there or left out on
// purpose.

#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "operator/metrics/operator_metrics.h"
#include "tests/monitoring/monitoring_files.h"
#include "tests/monitoring/promql.h"
#include "tests/operator/metrics/scrape.h"
#include "worker/metrics/worker_metrics.h"

namespace grapevine::monitoring {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// --- what is exported ---

using Labels = std::map<std::string, std::set<std::string>>;  // values by name
using Exported = std::map<std::string, Labels>;               // by the name of a series

void Add(const std::string& scrape, Exported& exported) {
  static const std::regex kSeries(R"(([a-zA-Z_:]+)(\{(.*)\})? \S+)");
  static const std::regex kLabel(R"re(([a-z_]+)="([^"]*)")re");
  std::istringstream lines(scrape.substr(scrape.find("\r\n\r\n") + 4));
  for (std::string line; std::getline(lines, line);) {
    std::smatch series, label;
    if (line.starts_with('#') || !std::regex_match(line, series, kSeries)) continue;
    Labels& labels = exported[series[1]];
    for (std::string rest = series[3]; std::regex_search(rest, label, kLabel);
         rest = label.suffix()) {
      labels[label[1]].insert(label[2]);
    }
  }
}

// Scraped from both servers, with everything that exists only once something happened.
Exported Scraped() {
  Exported exported;
  metrics::OperatorMetrics of_operator({.jobs = [] {
    return std::vector<metrics::JobSample>{{.name_space = "ml", .name = "digits"}};
  }});
  of_operator.OnRequest("GET", "10.0.0.1:443", 200, 1s);
  EXPECT_TRUE(of_operator.Serve("127.0.0.1:0").ok());
  Add(metrics::Scrape(of_operator.port()), exported);
  const auto of_worker =
      metrics::WorkerMetrics::Serve("127.0.0.1:0", [] { return metrics::WorkerCounts(); });
  EXPECT_TRUE(of_worker.ok()) << of_worker.status();
  if (of_worker.ok()) Add(metrics::Scrape((*of_worker)->port()), exported);
  return exported;
}

std::string FamilyOf(const std::string& series, const Exported& exported) {
  for (const char* end : {"_bucket", "_sum", "_count"}) {
    if (!series.ends_with(end)) continue;
    const std::string family = series.substr(0, series.size() - std::string(end).size());
    if (exported.contains(family + "_count")) return family;
  }
  return series;
}

// --- what is named ---

struct Named {
  std::string place;
  Query query;
};

// The labels that a text of `pattern`, as in {{pod}}, shows.
std::set<std::string> Shown(const std::string& text, const std::regex& pattern) {
  std::set<std::string> labels;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    labels.insert((*it)[1]);
  }
  return labels;
}

void AddDashboard(const std::filesystem::path& path, std::vector<Named>& named) {
  static const std::regex kLegend(R"(\{\{\s*(\w+)\s*\}\})");
  static const std::regex kVariable(R"(label_values\((.*), (\w+)\))");
  const json board = Load(path);
  for (const json& panel : board.at("panels")) {
    for (const json& target : panel.value("targets", json::array())) {
      Named one{fmt::format("{}: {}", path.filename().string(), panel.at("title").dump()),
                ParseQuery(target.at("expr").get<std::string>())};
      one.query.labels.merge(Shown(target.value("legendFormat", ""), kLegend));
      named.push_back(std::move(one));
    }
  }
  for (const json& variable : board.at("templating").at("list")) {
    if (variable.at("type") != "query") continue;
    const std::string text = variable.at("query").at("query");
    std::smatch parts;
    ASSERT_TRUE(std::regex_match(text, parts, kVariable)) << path << text;
    Named one{fmt::format("{}: {}", path.filename().string(), text), ParseQuery(parts[1].str())};
    one.query.labels.insert(parts[2]);
    named.push_back(std::move(one));
  }
}

void AddAlerts(const std::filesystem::path& path, std::vector<Named>& named) {
  static const std::regex kLabel(R"(\$labels\.(\w+))");
  const json file = Load(path);
  for (const json& group : file.at("groups")) {
    for (const json& rule : group.at("rules")) {
      Named one{fmt::format("{}: {}", path.filename().string(), rule.at("alert").dump()),
                ParseQuery(rule.at("expr").get<std::string>())};
      for (const json& text : rule.at("annotations")) one.query.labels.merge(Shown(text, kLabel));
      named.push_back(std::move(one));
    }
  }
}

std::vector<Named> NamedInMonitoring() {
  std::vector<Named> named;
  for (const auto& path : FilesOf("monitoring/dashboards", ".json")) AddDashboard(path, named);
  for (const auto& path : FilesOf("monitoring/alerts", ".yaml")) AddAlerts(path, named);
  return named;
}

// What a scrape adds to the series of an operator's or a worker's, by its configuration.
std::set<std::string> AddedLabels(const std::string& scrape_job) {
  std::set<std::string> labels = {"instance"};
  const json file = ScrapeConfiguration();
  for (const json& job : file.at("scrape_configs")) {
    if (job.at("job_name") != scrape_job) continue;
    for (const json& rule : job.at("relabel_configs")) {
      if (rule.contains("target_label")) labels.insert(rule["target_label"].get<std::string>());
    }
  }
  return labels;
}

// Exported, and in no panel and no alert.
const std::set<std::string> kLeftOut = {
    // Of the metrics' own server: each dashboard that is looked at would change them.
    "exposer_request_latencies", "exposer_scrapes_total", "exposer_transferred_bytes_total",
    "label quantile",
    // One operator talks to one API server.
    "label host",
    // Stock dashboards for processes and controllers look for them; here others say the same:
    // resident memory, the longest that is under way, the time of a reconciliation.
    "process_start_time_seconds", "process_virtual_memory_bytes",
    "workqueue_unfinished_work_seconds", "workqueue_work_duration_seconds"};

// --- the two against each other ---

bool Matches(const Matcher& matcher, const std::set<std::string>& values) {
  if (matcher.value.find('$') != std::string::npos) return true;
  const bool pattern = matcher.operation.ends_with('~');
  // Each alternative is meant for a series that there is.
  std::istringstream parts(matcher.value);
  for (std::string one; std::getline(parts, one, pattern ? '|' : '\0');) {
    if (!values.contains(one)) return false;
  }
  return true;
}

std::vector<std::string> Unknown(const std::vector<Named>& named, const Exported& exported) {
  const std::set<std::string> of_operator = AddedLabels("grapevine-operator");
  const std::set<std::string> of_worker = AddedLabels("grapevine-worker");
  std::set<std::string> all = of_worker;
  all.insert(of_operator.begin(), of_operator.end());
  for (const auto& [series, labels] : exported) {
    for (const auto& [label, values] : labels) all.insert(label);
  }
  std::vector<std::string> unknown;
  const auto add = [&](const Named& one, const std::string& what) {
    unknown.push_back(fmt::format("{}: {}", one.place, what));
  };
  for (const Named& one : named) {
    for (const std::string& label : one.query.labels) {
      if (!all.contains(label)) add(one, label);
    }
    for (const Selector& selector : one.query.selectors) {
      const auto series = exported.find(selector.metric);
      if (series == exported.end()) {
        add(one, selector.metric);
        continue;
      }
      const bool worker = selector.metric.starts_with("grapevine_worker_");
      for (const Matcher& matcher : selector.matchers) {
        const auto label = series->second.find(matcher.label);
        const bool known = label != series->second.end();
        const bool added = (worker ? of_worker : of_operator).contains(matcher.label);
        if (known ? !Matches(matcher, label->second) : !added) {
          add(one, fmt::format("{}{{{}{}\"{}\"}}", selector.metric, matcher.label,
                               matcher.operation, matcher.value));
        }
      }
    }
  }
  return unknown;
}

// Families and labels that nothing named.
std::set<std::string> Unused(const std::vector<Named>& named, const Exported& exported) {
  std::set<std::string> unused;
  for (const auto& [series, labels] : exported) {
    unused.insert(FamilyOf(series, exported));
    for (const auto& [label, values] : labels) unused.insert("label " + label);
  }
  for (const Named& one : named) {
    for (const std::string& label : one.query.labels) unused.erase("label " + label);
    for (const Selector& selector : one.query.selectors) {
      unused.erase(FamilyOf(selector.metric, exported));
      for (const Matcher& matcher : selector.matchers) unused.erase("label " + matcher.label);
    }
  }
  return unused;
}

TEST(MonitoringNames, WhatIsNamedIsExported) {
  EXPECT_THAT(Unknown(NamedInMonitoring(), Scraped()), IsEmpty());
}

TEST(MonitoringNames, WhatIsExportedIsNamedOrLeftOutOnPurpose) {
  EXPECT_EQ(Unused(NamedInMonitoring(), Scraped()), kLeftOut);
}

TEST(MonitoringNames, WhatIsWrongIsFound) {
  const Exported exported = {{"a_total", {{"x", {"1", "2"}}, {"pod", {}}}},
                             {"b_bucket", {{"le", {"1"}}}},
                             {"b_count", {}},
                             {"c", {{"y", {}}}}};
  const auto unknown = [&](const std::string& query) {
    return Unknown({{"here", ParseQuery(query)}}, exported);
  };
  EXPECT_THAT(unknown(R"(sum by (le) (rate(b_bucket[5m])) + a_total{x=~"1|2"} + a_total{x="$x"})"),
              IsEmpty());
  EXPECT_THAT(unknown("a"), ElementsAre("here: a"));
  EXPECT_THAT(unknown("sum by (z) (c)"), ElementsAre("here: z"));
  EXPECT_THAT(unknown(R"(a_total{z="1"})"), ElementsAre("here: a_total{z=\"1\"}"));
  EXPECT_THAT(unknown(R"(a_total{x="3"})"), ElementsAre("here: a_total{x=\"3\"}"));
  EXPECT_THAT(unknown(R"(a_total{x=~"1|3"})"), ElementsAre("here: a_total{x=~\"1|3\"}"));
  EXPECT_THAT(Unused({{"here", ParseQuery(R"(a_total{x="1"} + b_count)")}}, exported),
              ElementsAre("c", "label le", "label pod", "label y"));
}

}  // namespace
}  // namespace grapevine::monitoring
