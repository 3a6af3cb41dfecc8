#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "operator/api/labels.h"
#include "operator/api/yaml.h"

// What the texts in crds/ must be, whether or not a server is there to take them.
namespace grapevine {
namespace {

using nlohmann::json;
using ::testing::IsEmpty;

json Crd(const std::string& plural) {
  std::ifstream file(std::string(GRAPEVINE_SOURCE_ROOT) + "/crds/" + plural + ".yaml");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const absl::StatusOr<json> crd = api::ParseYaml(text);
  EXPECT_TRUE(crd.ok()) << crd.status();
  return crd.ok() ? *crd : json::object();
}

json SchemaOf(const json& crd) {
  return crd.at("spec").at("versions").at(0).at("schema").at("openAPIV3Schema");
}

bool IsBounded(const json& node) {
  if (node.value("x-kubernetes-int-or-string", false)) {
    return node.contains("maxLength") && node.contains("pattern") &&
           node.contains("x-kubernetes-validations");
  }
  const std::string type = node.value("type", "");
  if (type == "string") return node.contains("maxLength") || node.contains("enum");
  if (type == "integer") {
    return node.contains("minimum") && node.contains("maximum") && node.contains("format");
  }
  if (type == "array") return node.contains("maxItems") && node.contains("x-kubernetes-list-type");
  if (type == "object") {
    return node.contains("properties") || node.value("x-kubernetes-preserve-unknown-fields", false);
  }
  return type == "boolean";
}

bool SpeaksInWords(const json& node) {
  const json rules = node.value("x-kubernetes-validations", json::array());
  for (const json& rule : rules) {
    if (rule.value("message", "").empty()) return false;
  }
  return true;
}

void Judge(const json& node, const std::string& path, std::vector<std::string>& faults) {
  if (path == ".metadata") return;  // the server's own
  const std::string description = node.value("description", "");
  if (description.empty() || description.back() != '.') faults.push_back(path + ": not described");
  if (!IsBounded(node)) faults.push_back(path + ": not bounded");
  if (!SpeaksInWords(node)) faults.push_back(path + ": a rule without words");
  const json properties = node.value("properties", json::object());
  for (const auto& [name, child] : properties.items()) {
    Judge(child, fmt::format("{}.{}", path, name), faults);
  }
  if (node.contains("items")) Judge(node.at("items"), path + "[]", faults);
}

class CrdTextTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CrdTextTest, DescribesAndBoundsEveryField) {
  std::vector<std::string> faults;
  Judge(SchemaOf(Crd(GetParam())), "", faults);
  EXPECT_THAT(faults, IsEmpty());
}

TEST_P(CrdTextTest, NamesWhatTheOperatorAsksFor) {
  const json crd = Crd(GetParam());
  EXPECT_EQ(crd["metadata"]["name"], std::string(GetParam()) + "." + api::kGroup);
  EXPECT_EQ(crd["spec"]["group"], api::kGroup);
  EXPECT_EQ(crd["spec"]["names"]["plural"], GetParam());
  ASSERT_EQ(crd["spec"]["versions"].size(), 1u);
  EXPECT_EQ(crd["spec"]["versions"][0]["name"], api::kVersion);
  EXPECT_TRUE(crd["spec"]["versions"][0]["subresources"].contains("status"));
}

INSTANTIATE_TEST_SUITE_P(All, CrdTextTest,
                         ::testing::Values(api::kTrainingJobPlural, api::kCommunicationGraphPlural),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace grapevine
