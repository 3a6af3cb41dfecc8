#include "tests/monitoring/monitoring_files.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "gtest/gtest.h"
#include "operator/api/yaml.h"

namespace grapevine::monitoring {
namespace {

const std::filesystem::path kRoot = GRAPEVINE_SOURCE_ROOT;

}  // namespace

std::vector<std::filesystem::path> FilesOf(const std::string& folder, const std::string& kind) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / folder)) {
    if (entry.path().extension() == kind) files.push_back(entry.path());
  }
  EXPECT_FALSE(files.empty()) << folder;
  std::ranges::sort(files);
  return files;
}

nlohmann::json Load(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  auto read = api::ParseYaml(text.str());  // of which JSON is a part
  EXPECT_TRUE(read.ok()) << path << read.status();
  return read.ok() ? *std::move(read) : nlohmann::json();
}

nlohmann::json ScrapeConfiguration() { return Load(kRoot / "monitoring/prometheus.yaml"); }

}  // namespace grapevine::monitoring
