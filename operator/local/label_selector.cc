#include "operator/local/label_selector.h"

#include <optional>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace grapevine::local {
namespace {

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

bool IsWord(std::string_view text) {
  return text.find_first_of(" =!,()<>") == std::string_view::npos;
}

// nullptr where there is no such label.
const nlohmann::json* FindLabel(const nlohmann::json& object, const std::string& key) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end()) return nullptr;
  const auto labels = metadata->find("labels");
  if (labels == metadata->end() || !labels->is_object()) return nullptr;
  const auto label = labels->find(key);
  return label == labels->end() ? nullptr : &*label;
}

}  // namespace

absl::StatusOr<LabelSelector> LabelSelector::Parse(std::string_view text) {
  LabelSelector result;
  std::string_view rest = Trim(text);
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    std::string_view term = Trim(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
    Term parsed{.kind = Term::Kind::kExists, .key = "", .value = ""};
    if (const size_t equals = term.find('='); equals != std::string_view::npos) {
      std::string_view key = term.substr(0, equals);
      std::string_view value = term.substr(equals + 1);
      parsed.kind = Term::Kind::kEquals;
      if (key.ends_with('!')) {
        parsed.kind = Term::Kind::kDiffers;
        key.remove_suffix(1);
      } else if (value.starts_with('=')) {
        value.remove_prefix(1);
      }
      parsed.key = Trim(key);
      parsed.value = Trim(value);
    } else {
      if (term.starts_with('!')) {
        parsed.kind = Term::Kind::kAbsent;
        term.remove_prefix(1);
      }
      parsed.key = Trim(term);
    }
    if (parsed.key.empty() || !IsWord(parsed.key) || !IsWord(parsed.value)) {
      return absl::InvalidArgumentError(fmt::format("label selector \"{}\"", text));
    }
    result.terms_.push_back(std::move(parsed));
  }
  return result;
}

bool LabelSelector::Matches(const nlohmann::json& object) const {
  for (const Term& term : terms_) {
    const nlohmann::json* const label = FindLabel(object, term.key);
    const bool there = label != nullptr;
    const bool equal = there && *label == term.value;
    bool holds = false;
    switch (term.kind) {
      case Term::Kind::kEquals:
        holds = equal;
        break;
      case Term::Kind::kDiffers:
        holds = !equal;
        break;
      case Term::Kind::kExists:
        holds = there;
        break;
      case Term::Kind::kAbsent:
        holds = !there;
        break;
    }
    if (!holds) return false;
  }
  return true;
}

}  // namespace grapevine::local
