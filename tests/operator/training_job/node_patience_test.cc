#include "operator/training_job/node_patience.h"

#include "gtest/gtest.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;
using std::chrono::seconds;

json Tolerations(const char* list) { return {{"tolerations", json::parse(list)}}; }

TEST(NodePatience, IsReadAsKubernetesReadsIt) {
  struct Case {
    const char* tolerations;
    std::optional<seconds> not_ready;
    std::optional<seconds> unreachable;
  };
  const char* const kEach =
      R"([{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute",
           "tolerationSeconds":300},
          {"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute",
           "tolerationSeconds":20}])";
  for (const Case& each :
       {Case{"[]", seconds(0), seconds(0)}, Case{"7", seconds(0), seconds(0)},
        Case{R"([7, {"key":3}])", seconds(0), seconds(0)}, Case{kEach, seconds(300), seconds(20)},
        Case{R"([{"operator":"Exists"}])", {}, {}},
        Case{R"([{"operator":"Exists","effect":"NoSchedule"}])", seconds(0), seconds(0)},
        Case{R"([{"operator":"Exists","tolerationSeconds":9}])", seconds(9), seconds(9)},
        Case{R"([{"operator":"Exists"},{"operator":"Exists","tolerationSeconds":9}])", seconds(9),
             seconds(9)},
        Case{R"([{"operator":"Exists","tolerationSeconds":-1}])", seconds(0), seconds(0)},
        Case{R"([{"operator":"Exists","tolerationSeconds":9223372036854775807}])",
             seconds(315'360'000), seconds(315'360'000)},
        Case{R"([{"key":"node.kubernetes.io/not-ready"}])", {}, seconds(0)},
        Case{R"([{"key":"node.kubernetes.io/not-ready","value":"x"}])", seconds(0), seconds(0)}}) {
    json spec = Tolerations(each.tolerations);
    EXPECT_EQ(ReadPatience(spec), (NodePatience{each.not_ready, each.unreachable}))
        << each.tolerations;
    TrimTolerations(spec);
    EXPECT_EQ(ReadPatience(spec), (NodePatience{each.not_ready, each.unreachable}))
        << each.tolerations << " trimmed";
  }
}

TEST(NodePatience, IsShortForWorkersUnlessTheirTemplateSaysOtherwise) {
  json spec;
  AddTolerations(spec);
  EXPECT_EQ(ReadPatience(spec), (NodePatience{kNodePatience, kNodePatience}));
  spec = Tolerations(R"([{"key":"node.kubernetes.io/unreachable","operator":"Exists",
                          "tolerationSeconds":600},{"key":"gpu","operator":"Exists"}])");
  AddTolerations(spec);
  EXPECT_EQ(ReadPatience(spec), (NodePatience{kNodePatience, seconds(600)}));
  EXPECT_EQ(spec["tolerations"].size(), 3u);
  spec = Tolerations(R"([{"operator":"Exists"}])");
  AddTolerations(spec);
  EXPECT_EQ(spec["tolerations"].size(), 1u);
}

}  // namespace
}  // namespace grapevine::training_job
