#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace grapevine::cluster {

// A temporary folder that goes away with this object. What a process that died left behind goes
// when the next one is made: an open folder is locked, and the lock ends with its process.
// Thread-compatible.
class ScratchFolder {
 public:
  static absl::StatusOr<ScratchFolder> Make();
  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();

  const std::string& path() const { return path_; }
  // It stays, for people to look into, until the next one is made.
  void Keep() { keep_ = true; }

 private:
  ScratchFolder(std::string path, int lock);

  std::string path_;
  int lock_;
  bool keep_ = false;
};

}  // namespace grapevine::cluster
