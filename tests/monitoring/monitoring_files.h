#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace grapevine::monitoring {

// The files of a folder of this source tree, of one kind (".json"); a test fails where there are
// none.
std::vector<std::filesystem::path> FilesOf(const std::string& folder, const std::string& kind);

// A JSON or YAML file. Null, and the test has failed, for one that cannot be read.
nlohmann::json Load(const std::filesystem::path& path);

// The one of monitoring/ by which Prometheus scrapes.
nlohmann::json ScrapeConfiguration();

}  // namespace grapevine::monitoring
