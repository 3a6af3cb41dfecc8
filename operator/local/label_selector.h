#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace grapevine::local {

// A selector by equality, as in kubectl -l: "app=worker,tier!=test,job,!gone". Immutable.
class LabelSelector {
 public:
  // InvalidArgument for anything else; empty selects all.
  static absl::StatusOr<LabelSelector> Parse(std::string_view text);

  bool Matches(const nlohmann::json& object) const;

 private:
  struct Term {
    enum class Kind { kEquals, kDiffers, kExists, kAbsent };
    Kind kind;
    std::string key;
    std::string value;
  };

  std::vector<Term> terms_;
};

}  // namespace grapevine::local
