#include "tests/cluster/scratch_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"

namespace grapevine::cluster {
namespace {

constexpr char kPrefix[] = "grapevine-cluster-";

// -1 when another process holds it, or, unless `create`, when there is none.
int Lock(const std::string& folder, bool create) {
  const std::string path = folder + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

void RemoveStale() {
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::temp_directory_path(), ignored)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const int lock = Lock(entry.path().string(), /*create=*/false);
    if (lock < 0) continue;
    std::filesystem::remove_all(entry.path(), ignored);
    close(lock);
  }
}

}  // namespace

absl::StatusOr<ScratchFolder> ScratchFolder::Make() {
  RemoveStale();
  std::string path =
      (std::filesystem::temp_directory_path() / (std::string(kPrefix) + "XXXXXX")).string();
  if (mkdtemp(path.data()) == nullptr) return absl::InternalError("no temporary folder");
  const int lock = Lock(path, /*create=*/true);
  if (lock < 0) return absl::InternalError("cannot lock " + path);
  return ScratchFolder(std::move(path), lock);
}

ScratchFolder::ScratchFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), keep_(other.keep_) {}

ScratchFolder::~ScratchFolder() {
  if (lock_ < 0) return;
  std::error_code ignored;
  if (!keep_) std::filesystem::remove_all(path_, ignored);
  close(lock_);
}

}  // namespace grapevine::cluster
