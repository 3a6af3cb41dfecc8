#include "operator/api/field_reader.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "operator/api/decimal.h"
#include "operator/base/text.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

constexpr size_t kMaxFound = 60;

const json& Nothing() {
  static const json kNothing;
  return kNothing;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string Lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string Describe(const DecimalBounds& bounds) {
  return bounds.above_min ? fmt::format("a number above {} and at most {}", bounds.min, bounds.max)
                          : fmt::format("a number from {} to {}", bounds.min, bounds.max);
}

}  // namespace

std::string Found(const json& value) {
  if (value.is_null()) return "nothing";
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMaxFound) {
    text.resize(Beginning(text, kMaxFound - 3).size());
    text += "...";
  }
  return text;
}

bool IsUtf8(const std::string& text) {
  try {
    static_cast<void>(json(text).dump());
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

std::string Nearest(std::string_view name, const std::vector<std::string>& known) {
  if (name.size() > 2 * kMaxFound) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = EditDistance(Lower(name), Lower(candidate));
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

FieldReader::FieldReader(const json& value, std::string path, std::vector<Violation>* violations)
    : value_(value.is_object() ? value : Nothing()),
      path_(std::move(path)),
      violations_(violations) {
  if (!value.is_object() && !value.is_null()) {
    violations_->push_back({path_.empty() ? "." : path_, Found(value), "a mapping"});
  }
}

std::string FieldReader::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void FieldReader::Report(const char* name, std::string allowed) {
  if (violations_->size() >= kMostViolations) return;
  violations_->push_back({PathOf(name), Found(Raw(name)), std::move(allowed)});
}

const json& FieldReader::Raw(const char* name) {
  if (std::find(known_.begin(), known_.end(), name) == known_.end()) known_.emplace_back(name);
  if (!value_.is_object()) return Nothing();
  const auto found = value_.find(name);
  return found == value_.end() ? Nothing() : *found;
}

FieldReader FieldReader::Child(const char* name) {
  return FieldReader(Raw(name), PathOf(name), violations_);
}

bool FieldReader::Has(const char* name) const {
  return value_.is_object() && value_.contains(name) && !value_[name].is_null();
}

bool FieldReader::Require(const char* name, std::string_view allowed) {
  const bool there = !Raw(name).is_null();
  if (!there) Report(name, std::string(allowed));
  return there;
}

bool FieldReader::ReadInteger(const char* name, int64_t& value, int64_t min, int64_t max) {
  const json& raw = Raw(name);
  if (raw.is_null()) return false;
  const bool fits = raw.is_number_integer() &&
                    !(raw.is_number_unsigned() && raw.get<uint64_t>() > uint64_t{INT64_MAX});
  if (!fits || raw.get<int64_t>() < min || raw.get<int64_t>() > max) {
    Report(name, fmt::format("an integer from {} to {}", min, max));
    return false;
  }
  value = raw.get<int64_t>();
  return true;
}

bool FieldReader::Decimal(const char* name, double& target, const DecimalBounds& bounds) {
  const json& raw = Raw(name);
  return !raw.is_null() && ReadDecimal(raw, PathOf(name), bounds, target, violations_);
}

bool FieldReader::Boolean(const char* name, bool& target) {
  const json& raw = Raw(name);
  if (raw.is_null()) return false;
  if (!raw.is_boolean()) {
    Report(name, "true or false");
    return false;
  }
  target = raw.get<bool>();
  return true;
}

bool FieldReader::String(const char* name, std::string& target, size_t max_length) {
  const json& raw = Raw(name);
  if (raw.is_null()) return false;
  if (!raw.is_string() || raw.get_ref<const std::string&>().size() > max_length) {
    Report(name, fmt::format("a string of at most {} characters", max_length));
    return false;
  }
  target = raw.get<std::string>();
  return true;
}

int FieldReader::ReadName(const char* name, const std::vector<std::string>& names) {
  const json& raw = Raw(name);
  if (raw.is_null()) return -1;
  if (raw.is_string()) {
    const auto found = std::find(names.begin(), names.end(), raw.get_ref<const std::string&>());
    if (found != names.end()) return static_cast<int>(found - names.begin());
  }
  Report(name, fmt::format("one of {}", fmt::join(names, ", ")));
  return -1;
}

bool FieldReader::List(const char* name, size_t max_size,
                       const std::function<void(const json&, const std::string& path)>& read) {
  const json& raw = Raw(name);
  if (raw.is_null()) return false;
  if (!raw.is_array() || raw.size() > max_size) {
    Report(name, fmt::format("a list of at most {} entries", max_size));
    return false;
  }
  const size_t before = violations_->size();
  for (size_t i = 0; i < raw.size(); ++i) read(raw[i], fmt::format("{}[{}]", PathOf(name), i));
  return violations_->size() == before;
}

void FieldReader::Finish() {
  if (!value_.is_object()) return;
  for (const auto& [name, value] : value_.items()) {
    if (violations_->size() >= kMostViolations) return;
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::string nearest = Nearest(name, known_);
    violations_->push_back(
        {PathOf(name), value.is_null() ? "null" : Found(value),
         nearest.empty() ? fmt::format("no such field; there are {}", fmt::join(known_, ", "))
                         : fmt::format("no such field; did you mean \"{}\"?", nearest)});
  }
}

bool ReadDecimal(const json& value, const std::string& path, const DecimalBounds& bounds,
                 double& target, std::vector<Violation>* violations) {
  std::optional<double> number;
  if (value.is_number()) number = value.get<double>();
  if (value.is_string()) number = ParseDecimal(value.get_ref<const std::string&>());
  if (!number || *number > bounds.max || *number < bounds.min ||
      (bounds.above_min && *number == bounds.min)) {
    violations->push_back({path, Found(value), Describe(bounds)});
    return false;
  }
  target = *number;
  return true;
}

}  // namespace grapevine::api
