#include "tests/monitoring/promql.h"

#include <cctype>

namespace grapevine::monitoring {
namespace {

const std::set<std::string> kGroupings = {"by",       "without",    "on",
                                          "ignoring", "group_left", "group_right"};
const std::set<std::string> kWords = {"and", "or", "unless", "offset", "bool"};

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == ':'; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Query Scan() {
    while (!Spaces().AtEnd()) {
      const char c = text_[at_];
      if (c == '"') {
        Quoted();
      } else if (c == '[') {
        at_ = text_.find(']', at_) + 1;
      } else if (std::isdigit(static_cast<unsigned char>(c))) {
        while (!AtEnd() && (IsWord(text_[at_]) || text_[at_] == '.')) ++at_;
      } else if (IsWord(c)) {
        Named(Word());
      } else {
        ++at_;
      }
    }
    return query_;
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  bool Next(char c) { return !Spaces().AtEnd() && text_[at_] == c; }
  Scanner& Spaces() {
    while (!AtEnd() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return *this;
  }
  std::string Word() {
    Spaces();
    const size_t begin = at_;
    while (!AtEnd() && IsWord(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string Quoted() {
    const size_t end = text_.find('"', ++at_);
    std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }

  void Named(const std::string& word) {
    if (kGroupings.contains(word)) {
      if (Next('(')) Labels();
    } else if (!kWords.contains(word) && !Next('(') && !GroupsNext()) {
      query_.selectors.push_back({word, Matchers()});
    }
  }
  // Whether the word before is an aggregation with its labels in front, as in `sum by (le) (...)`.
  bool GroupsNext() {
    const size_t here = at_;
    const std::string word = Word();
    at_ = here;
    return word == "by" || word == "without";
  }
  void Labels() {
    for (++at_; !Next(')');) {
      if (Next(',')) ++at_;
      query_.labels.insert(Word());
    }
    ++at_;
  }
  std::vector<Matcher> Matchers() {
    std::vector<Matcher> matchers;
    if (!Next('{')) return matchers;
    for (++at_; !Next('}');) {
      if (Next(',')) ++at_;
      Matcher& matcher = matchers.emplace_back();
      matcher.label = Word();
      while (!Next('"')) matcher.operation += text_[at_++];
      matcher.value = Quoted();
    }
    ++at_;
    return matchers;
  }

  const std::string_view text_;
  size_t at_ = 0;
  Query query_;
};

}  // namespace

Query ParseQuery(std::string_view text) { return Scanner(text).Scan(); }

}  // namespace grapevine::monitoring
