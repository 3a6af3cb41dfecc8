#include "worker/checkpoint/retention.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "operator/api/checkpoint_file.h"
#include "operator/base/log.h"

namespace grapevine::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTemporaryExtension = ".tmp";
// A writer writes all the time: a temporary file untouched for this long has none.
constexpr std::chrono::minutes kAbandonedAfter{10};

// What is in the job's folder, whatever it is; an unreadable folder is an empty one.
std::vector<fs::path> FilesOf(const std::string& path, const std::string& job_uid) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(fs::path(path) / job_uid, error), end; !error && entry != end;
       entry.increment(error)) {
    files.push_back(entry->path());
  }
  return files;
}

// Whole ones of the job, the one with the most samples first.
std::vector<Found> WholeOnes(const std::string& path, const std::string& job_uid) {
  std::vector<Found> found;
  for (const fs::path& file : FilesOf(path, job_uid)) {
    if (file.extension() != api::kCheckpointExtension) continue;
    auto manifest = ReadManifest(file.string());
    if (!manifest.ok()) {
      LogWarn("checkpoint passed over: {}", std::string(manifest.status().message()));
    } else if (manifest->job_uid != job_uid) {
      LogWarn("checkpoint passed over: {}: belongs to job {}", file.string(), manifest->job_uid);
    } else {
      found.push_back({file.string(), *std::move(manifest)});
    }
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::pair(a.manifest.samples, a.file) > std::pair(b.manifest.samples, b.file);
  });
  return found;
}

}  // namespace

std::optional<Found> FindNewest(const std::string& path, const std::string& job_uid,
                                const std::set<std::string>& unreadable) {
  for (Found& found : WholeOnes(path, job_uid)) {
    if (!unreadable.contains(found.file)) return std::move(found);
    LogWarn("checkpoint passed over: {}: its tensors could not be read", found.file);
  }
  return std::nullopt;
}

void Retain(const std::string& path, const std::string& job_uid, int32_t keep,
            const std::string& written) {
  auto whole = WholeOnes(path, job_uid);
  std::error_code ignored;
  // A job whose progress was set back writes files with fewer samples than it has already.
  std::stable_partition(whole.begin(), whole.end(), [&](const Found& found) {
    return fs::equivalent(found.file, written, ignored);
  });
  for (size_t i = static_cast<size_t>(std::max(keep, 1)); i < whole.size(); ++i) {
    fs::remove(whole[i].file, ignored);
  }
  for (const fs::path& file : FilesOf(path, job_uid)) {
    if (file.extension() != kTemporaryExtension) continue;
    const auto written = fs::last_write_time(file, ignored);
    if (!ignored && written + kAbandonedAfter < fs::file_time_type::clock::now()) {
      fs::remove(file, ignored);
    }
  }
}

}  // namespace grapevine::checkpoint
