#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"
#include "operator/api/validation.h"

namespace grapevine::api {

// As it stands in a violation: JSON, at most 60 characters of it.
std::string Found(const nlohmann::json& value);

// JSON text can hold nothing else, and making it of anything else throws.
bool IsUtf8(const std::string& text);

// The one of `known` that a user most likely meant; empty when none is near.
std::string Nearest(std::string_view name, const std::vector<std::string>& known);

struct DecimalBounds {
  double min = 0;
  double max = 0;
  bool above_min = false;  // min itself is not allowed
};

// From so many on nothing more is added: it would help nobody.
inline constexpr size_t kMostViolations = 100;

// Reads the fields of one mapping and collects all that is wrong. Each read leaves its target alone
// when the field is absent, null or wrong; the return says that the field is there and right. After
// all reads call Finish once: it reports the fields that nobody asked for. Thread-compatible.
class FieldReader {
 public:
  // `value` null: as an empty mapping. Any other thing but a mapping is a violation.
  FieldReader(const nlohmann::json& value, std::string path, std::vector<Violation>* violations);

  // The field's value; null when it is absent. Counts as asked for.
  const nlohmann::json& Raw(const char* name);
  FieldReader Child(const char* name);
  bool Has(const char* name) const;
  // Present and not null, or else a violation.
  bool Require(const char* name, std::string_view allowed);

  template <typename T>
  bool Integer(const char* name, T& target, int64_t min, int64_t max) {
    int64_t value = 0;
    if (!ReadInteger(name, value, min, max)) return false;
    target = static_cast<T>(value);
    return true;
  }
  // A number, or a string that holds one.
  bool Decimal(const char* name, double& target, const DecimalBounds& bounds);
  bool Boolean(const char* name, bool& target);
  bool String(const char* name, std::string& target, size_t max_length);
  template <typename E>
  bool Enum(const char* name, E& target, std::initializer_list<E> values) {
    std::vector<std::string> names;
    for (E value : values) names.emplace_back(ToString(value));
    const int index = ReadName(name, names);
    if (index < 0) return false;
    target = *(values.begin() + index);
    return true;
  }
  // Calls `read` with each element's path; a list longer than `max_size` is a violation and not
  // read.
  bool List(const char* name, size_t max_size,
            const std::function<void(const nlohmann::json&, const std::string& path)>& read);

  void Finish();

  std::string PathOf(std::string_view name) const;
  void Report(const char* name, std::string allowed);

 private:
  bool ReadInteger(const char* name, int64_t& value, int64_t min, int64_t max);
  int ReadName(const char* name, const std::vector<std::string>& names);

  const nlohmann::json& value_;
  const std::string path_;
  std::vector<Violation>* const violations_;
  std::vector<std::string> known_;
};

// One number of a list, by the rule of FieldReader::Decimal.
bool ReadDecimal(const nlohmann::json& value, const std::string& path, const DecimalBounds& bounds,
                 double& target, std::vector<Violation>* violations);

}  // namespace grapevine::api
