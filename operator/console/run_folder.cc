#include "operator/console/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "fmt/format.h"
#include "operator/api/checkpoint_file.h"

namespace grapevine::console {
namespace {

bool HoldsCheckpoint(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == api::kCheckpointExtension) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::string> ChooseUid(const std::string& resume, const std::string& checkpoints) {
  if (resume.empty()) {
    std::string uid;
    std::ifstream("/proc/sys/kernel/random/uuid") >> uid;
    return uid;
  }
  const bool plain = std::ranges::all_of(resume, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
  if (!plain || !HoldsCheckpoint(std::filesystem::path(checkpoints) / resume)) {
    return absl::InvalidArgumentError(fmt::format(
        "--resume {}: allowed is the uid of a run with checkpoints in {}", resume, checkpoints));
  }
  return resume;
}

absl::StatusOr<std::string> MakeLogFolder(const std::string& checkpoints, const std::string& uid) {
  std::error_code error;
  std::filesystem::path folder = checkpoints;
  if (checkpoints.empty()) folder = std::filesystem::temp_directory_path(error) / "grapevine";
  if (error) {
    return absl::InvalidArgumentError(
        fmt::format("TMPDIR: {}; allowed is a folder, where a job without checkpoints has its logs",
                    error.message()));
  }
  folder = folder / uid / "logs";
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InvalidArgumentError(fmt::format("spec.checkpoint.path: {} cannot be made: {}",
                                                  folder.string(), error.message()));
  }
  return folder.string();
}

bool HasCheckpoint(const std::string& log_folder) {
  return HoldsCheckpoint(std::filesystem::path(log_folder).parent_path());
}

}  // namespace grapevine::console
