#include "operator/controller/event_series.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "operator/api/object_meta.h"
#include "operator/base/text.h"

namespace grapevine::controller {

using nlohmann::json;

std::optional<EventWrite> EventSeries::Add(Event event, Time now,
                                           std::chrono::system_clock::time_point wall) {
  event.note.resize(Beginning(event.note, kMaxNote).size());
  Forget(now);
  auto found = series_.find(event);
  if (found != series_.end() && now - found->second.seen >= kSeriesEnd) {
    series_.erase(found);
    found = series_.end();
  }
  if (found != series_.end()) {
    Series& series = found->second;
    series.seen = now;
    ++series.write.count;
    series.write.last = wall;
    series.unwritten = now - series.written < kSeriesWrite;
    if (series.unwritten) return std::nullopt;
    series.written = now;
    return series.write;
  }
  if (series_.size() >= kMaxSeries || !MaySpend(event, now)) return std::nullopt;
  Series series{
      .write = {.event = event, .first = wall, .last = wall}, .written = now, .seen = now};
  series.write.name = fmt::format("{}.{:016x}{:08x}", event.regarding.name, seed_, ++made_);
  return series_.emplace(std::move(event), std::move(series)).first->second.write;
}

std::vector<EventWrite> EventSeries::TakeDue(Time now, bool all) {
  std::vector<EventWrite> due;
  for (auto& [event, series] : series_) {
    if (!series.unwritten || (!all && now - series.written < kSeriesWrite)) continue;
    series.unwritten = false;
    series.written = now;
    due.push_back(series.write);
  }
  return due;
}

bool EventSeries::MaySpend(const Event& event, Time now) {
  const auto [entry, made] =
      allowances_.try_emplace({event.regarding.uid, event.reason}, Allowance{.at = now});
  Allowance& allowance = entry->second;
  allowance.left =
      std::min<double>(kBurst, allowance.left + ToSeconds(now - allowance.at) / ToSeconds(kRefill));
  allowance.at = now;
  if (allowance.left < 1) return false;
  allowance.left -= 1;
  return true;
}

// What has ended, and whoever may say as much again as somebody new.
void EventSeries::Forget(Time now) {
  if (series_.size() + allowances_.size() < kMaxSeries / 2) return;
  std::erase_if(series_, [&](const auto& entry) {
    return !entry.second.unwritten && now - entry.second.seen >= kSeriesEnd;
  });
  std::erase_if(allowances_, [&](const auto& entry) {
    return now - entry.second.at >= kBurst * kRefill || allowances_.size() >= kMaxSeries;
  });
}

json ToJson(const EventWrite& write, const std::string& controller, const std::string& instance) {
  const Event& event = write.event;
  const ObjectReference& object = event.regarding;
  return {{"apiVersion", "events.k8s.io/v1"},
          {"kind", "Event"},
          {"metadata", {{"namespace", object.name_space}, {"name", write.name}}},
          {"eventTime", api::FormatMicroTime(write.first)},
          {"type", event.warning ? "Warning" : "Normal"},
          {"reason", event.reason},
          {"action", event.action},
          {"note", event.note},
          {"regarding",
           {{"apiVersion", object.api_version},
            {"kind", object.kind},
            {"namespace", object.name_space},
            {"name", object.name},
            {"uid", object.uid}}},
          {"reportingController", controller},
          {"reportingInstance", instance}};
}

json SeriesPatch(const EventWrite& write) {
  return {
      {"series", {{"count", write.count}, {"lastObservedTime", api::FormatMicroTime(write.last)}}}};
}

}  // namespace grapevine::controller
