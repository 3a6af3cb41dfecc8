#include "operator/api/decimal.h"

#include <charconv>
#include <cmath>
#include <system_error>

#include "fmt/format.h"

namespace grapevine::api {

std::string FormatDecimal(double value) { return fmt::format("{}", value); }

std::optional<double> ParseDecimal(std::string_view text) {
  if (text.size() > kMaxDecimalLength) return std::nullopt;
  // from_chars alone would take "inf" and "nan", and no plus sign.
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  if (text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [parsed_to, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || parsed_to != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace grapevine::api
