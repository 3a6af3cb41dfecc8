#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace grapevine::api {

// Resources hold numbers with a fraction as decimal strings, since floats do not survive every
// client.

// The shortest text that reads back as `value`.
std::string FormatDecimal(double value);

inline constexpr size_t kMaxDecimalLength = 32;  // in characters; the shortest text takes 24

// Digits, a point and more digits, an exponent; a sign before either. nullopt for anything else,
// for longer text, and for what a double cannot hold.
std::optional<double> ParseDecimal(std::string_view text);

}  // namespace grapevine::api
