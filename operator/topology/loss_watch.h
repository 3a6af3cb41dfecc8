#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

namespace grapevine::topology {

// For how long the members have learned nothing that guessing would not do as well.
// Thread-compatible.
class LossWatch {
 public:
  // `loss`: mean over the members, NaN while unknown, which changes nothing. `guessing`: from which
  // loss on they do no better; 0 for never. `samples`: done by the job, fewer than before where it
  // was set back to a checkpoint.
  void Note(double loss, double guessing, int64_t samples) {
    if (guessing_since_) guessing_since_ = std::min(*guessing_since_, samples);
    if (std::isnan(loss) || guessing <= 0) return;
    if (loss < guessing) {
      guessing_since_.reset();
    } else if (!guessing_since_) {
      guessing_since_ = samples;
    }
  }

  // The samples that were done when the loss was first found so high, if it was each time since.
  std::optional<int64_t> guessing_since() const { return guessing_since_; }

 private:
  std::optional<int64_t> guessing_since_;
};

}  // namespace grapevine::topology
