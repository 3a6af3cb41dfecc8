#include "operator/api/checkpoint_file.h"

#include <filesystem>

#include "fmt/format.h"

namespace grapevine::api {

std::string CheckpointFile(const std::string& path, const std::string& job_uid, int64_t samples) {
  const std::string name = fmt::format("{:015}{}", samples, kCheckpointExtension);
  return (std::filesystem::path(path) / job_uid / name).string();
}

}  // namespace grapevine::api
