#include "operator/local/api_server.h"

#include <charconv>
#include <chrono>
#include <optional>
#include <random>
#include <system_error>

#include "fmt/format.h"
#include "operator/api/object_meta.h"
#include "operator/base/check.h"

namespace grapevine::local {

using controller::DeleteOptions;
using controller::KeyOf;
using controller::Request;
using controller::Resource;
using controller::ResourceVersionOf;
using controller::UidOf;
using controller::Watch;
using controller::WatchEvent;
using controller::WatchOptions;
using nlohmann::json;

namespace {

constexpr int kDefaultPodGraceSeconds = 30;

std::string NewUid() {
  static thread_local std::mt19937_64 rng{(uint64_t{std::random_device{}()} << 32) ^
                                          std::random_device{}()};
  const uint64_t high = rng();
  const uint64_t low = rng();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xfff, 0x8000 | (low >> 50), low & 0xffffffffffff);
}

// Null where there is no such member or `object` is no mapping.
const json& At(const json& object, const char* key) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

const json& MetadataAt(const json& object, const char* key) {
  return At(At(object, "metadata"), key);
}

bool HasFinalizers(const json& object) { return !MetadataAt(object, "finalizers").empty(); }

bool IsBeingDeleted(const json& object) {
  return !MetadataAt(object, "deletionTimestamp").is_null();
}

bool IsGraceful(const json& pod) {
  const json& phase = At(At(pod, "status"), "phase");
  if (phase == "Succeeded" || phase == "Failed") return false;
  return At(At(pod, "spec"), "nodeName").is_string() || (phase.is_string() && phase != "Pending");
}

int GraceSecondsOf(const json& pod) {
  const json& own = At(At(pod, "spec"), "terminationGracePeriodSeconds");
  return own.is_number_integer() ? own.get<int>() : kDefaultPodGraceSeconds;
}

// All but metadata and status.
json SpecOf(json object) {
  object.erase("metadata");
  object.erase("status");
  return object;
}

std::string Named(const std::string& plural, const Request& key) {
  return fmt::format("{} \"{}/{}\"", plural, key.name_space, key.name);
}

// Takes off `object` what `before` has and `now` has not.
void TakeAway(const json& before, const json& now, json& object) {
  if (!before.is_object() || !object.is_object()) return;
  for (const auto& [name, value] : before.items()) {
    const auto place = object.find(name);
    if (place == object.end()) continue;
    if (!now.contains(name)) {
      object.erase(place);
    } else if (now[name].is_object()) {
      TakeAway(value, now[name], *place);
    }
  }
}

// The pod's name when that is what a Create of `resource` is about.
std::optional<std::string> PodToBind(const Resource& resource) {
  constexpr std::string_view kStart = "pods/";
  constexpr std::string_view kEnd = "/binding";
  const std::string_view plural = resource.plural;
  if (!resource.group.empty() || !plural.starts_with(kStart) || !plural.ends_with(kEnd)) {
    return std::nullopt;
  }
  return std::string(plural.substr(kStart.size(), plural.size() - kStart.size() - kEnd.size()));
}

json GoneStatus() {
  return {{"kind", "Status"},
          {"apiVersion", "v1"},
          {"status", "Failure"},
          {"reason", "Expired"},
          {"message", "the changes asked for are no longer kept"},
          {"code", 410}};
}

}  // namespace

class ApiServer::OpenedWatch final : public Watch {
 public:
  OpenedWatch(ApiServer* server, std::shared_ptr<Watcher> watcher)
      : server_(server), watcher_(std::move(watcher)) {}

  ~OpenedWatch() override {
    MutexLock lock(server_->mutex_);
    watcher_->ended = true;
    std::erase(server_->watchers_, watcher_);
    if (std::this_thread::get_id() == server_->dispatcher_.get_id()) return;
    while (watcher_->in_call) server_->call_ended_.Wait(server_->mutex_);
  }

 private:
  ApiServer* const server_;
  const std::shared_ptr<Watcher> watcher_;
};

ApiServer::ApiServer(const ApiServerOptions& options)
    : options_(options), dispatcher_([this] { Dispatch(); }) {}

ApiServer::~ApiServer() {
  {
    MutexLock lock(mutex_);
    GRAPEVINE_CHECK(watchers_.empty());
    stopped_ = true;
    changed_.NotifyAll();
  }
  dispatcher_.join();
}

absl::StatusOr<json> ApiServer::Get(const Resource& resource, std::string_view name_space,
                                    std::string_view name) {
  MutexLock lock(mutex_);
  absl::StatusOr<Object> found =
      FindLocked({resource.group, resource.plural}, {std::string(name_space), std::string(name)});
  if (!found.ok()) return found.status();
  return **found;
}

absl::StatusOr<json> ApiServer::List(const Resource& resource, std::string_view name_space,
                                     const controller::ListOptions& options) {
  absl::StatusOr<LabelSelector> wanted = LabelSelector::Parse(options.selector);
  if (!wanted.ok()) return wanted.status();
  MutexLock lock(mutex_);
  json items = json::array();
  for (const auto& [key, object] : collections_[{resource.group, resource.plural}]) {
    if (!name_space.empty() && key.name_space != name_space) continue;
    if (!wanted->Matches(*object)) continue;
    items.push_back(*object);
    if (options.trim) options.trim(items.back());
  }
  return json{{"kind", "List"},
              {"apiVersion", "v1"},
              {"metadata", {{"resourceVersion", fmt::to_string(version_)}}},
              {"items", std::move(items)}};
}

absl::StatusOr<json> ApiServer::Create(const Resource& resource, const json& object) {
  if (const std::optional<std::string> pod = PodToBind(resource)) return Bind(*pod, object);
  if (!At(object, "metadata").is_object() || KeyOf(object).name.empty()) {
    return absl::InvalidArgumentError("metadata.name: a name is required");
  }
  if (!ResourceVersionOf(object).empty()) {
    return absl::InvalidArgumentError("metadata.resourceVersion: nothing is allowed in Create");
  }
  const Collection collection{resource.group, resource.plural};
  json created = object;
  json& metadata = created["metadata"];
  if (resource.cluster_wide) {
    metadata.erase("namespace");
  } else if (KeyOf(object).name_space.empty()) {
    metadata["namespace"] = "default";
  }
  created.erase("status");
  if (collection == Collection{"", "pods"}) created["status"] = {{"phase", "Pending"}};
  if (UidOf(object).empty()) metadata["uid"] = NewUid();
  metadata["generation"] = 1;
  metadata["creationTimestamp"] = api::FormatWallTime(std::chrono::system_clock::now());
  metadata.erase("deletionTimestamp");
  metadata.erase("deletionGracePeriodSeconds");
  const Request key = KeyOf(created);

  MutexLock lock(mutex_);
  if (collections_[collection].contains(key)) {
    return absl::AlreadyExistsError(fmt::format("{} already exists", Named(resource.plural, key)));
  }
  const Object stored = StoreLocked(collection, std::move(created));
  if (IsOrphanLocked(*stored)) CollectGarbageLocked();
  return *stored;
}

absl::StatusOr<json> ApiServer::Bind(const std::string& pod, const json& binding) {
  const json& node = At(At(binding, "target"), "name");
  if (!node.is_string()) return absl::InvalidArgumentError("target.name: a node is required");
  const json& name_space = MetadataAt(binding, "namespace");
  const Request key{name_space.is_string() ? name_space.get<std::string>() : "default", pod};
  const Collection pods{"", "pods"};
  MutexLock lock(mutex_);
  absl::StatusOr<Object> found = FindLocked(pods, key);
  if (!found.ok()) return found.status();
  const bool other = !UidOf(binding).empty() && UidOf(binding) != UidOf(**found);
  if (other || IsBeingDeleted(**found) || At(At(**found, "spec"), "nodeName").is_string()) {
    return absl::AbortedError(
        fmt::format("{} is another one, has a node or is being deleted", Named("pods", key)));
  }
  json bound = **found;
  bound["spec"]["nodeName"] = node;
  StoreLocked(pods, std::move(bound));
  return json{{"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Success"}};
}

absl::StatusOr<json> ApiServer::Update(const Resource& resource, const json& object) {
  const Collection collection{resource.group, resource.plural};
  MutexLock lock(mutex_);
  absl::StatusOr<Object> found = FindToWriteLocked(resource, object);
  if (!found.ok()) return found.status();
  return ReplaceLocked(collection, *found, object);
}

json ApiServer::ReplaceLocked(const Collection& collection, const Object& found, json now) {
  const json& before = *found;
  for (const char* server_own : {"uid", "generation", "creationTimestamp", "deletionTimestamp",
                                 "deletionGracePeriodSeconds", "resourceVersion", "namespace"}) {
    now["metadata"].erase(server_own);
    const json& kept = MetadataAt(before, server_own);
    if (!kept.is_null()) now["metadata"][server_own] = kept;
  }
  now.erase("status");
  if (before.contains("status")) now["status"] = before["status"];
  if (SpecOf(now) != SpecOf(before)) {
    now["metadata"]["generation"] = before["metadata"]["generation"].get<int64_t>() + 1;
  }
  if (now == before) return now;
  const Object stored = StoreLocked(collection, std::move(now));
  if (IsBeingDeleted(*stored) && !HasFinalizers(*stored) &&
      MetadataAt(*stored, "deletionGracePeriodSeconds") == 0) {
    RemoveLocked(collection, KeyOf(*stored));
    CollectGarbageLocked();
  }
  return *stored;
}

absl::StatusOr<json> ApiServer::UpdateStatus(const Resource& resource, const json& object) {
  const Collection collection{resource.group, resource.plural};
  MutexLock lock(mutex_);
  absl::StatusOr<Object> found = FindToWriteLocked(resource, object);
  if (!found.ok()) return found.status();
  json now = **found;
  now["status"] = At(object, "status");
  if (now == **found) return now;
  return *StoreLocked(collection, std::move(now));
}

absl::StatusOr<json> ApiServer::Patch(const Resource& resource, std::string_view name_space,
                                      std::string_view name, const json& patch) {
  const Collection collection{resource.group, resource.plural};
  const Request key{std::string(name_space), std::string(name)};
  MutexLock lock(mutex_);
  absl::StatusOr<Object> found = FindLocked(collection, key);
  if (!found.ok()) return found.status();
  for (const char* precondition : {"uid", "resourceVersion"}) {
    const json& wanted = MetadataAt(patch, precondition);
    if (!wanted.is_null() && wanted != MetadataAt(**found, precondition)) {
      return absl::AbortedError(fmt::format(
          "{} has another {} than {}", Named(resource.plural, key), precondition, wanted.dump()));
    }
  }
  json now = **found;
  now.merge_patch(patch);
  return ReplaceLocked(collection, *found, std::move(now));
}

absl::StatusOr<json> ApiServer::Apply(const Resource& resource, const json& object) {
  const Collection collection{resource.group, resource.plural};
  const Request key = KeyOf(object);
  json intent = object;
  intent.erase("status");
  {
    MutexLock lock(mutex_);
    if (absl::StatusOr<Object> found = FindLocked(collection, key); found.ok()) {
      json now = **found;
      json& applied = applied_[UidOf(now)];
      TakeAway(applied, intent, now);
      now.merge_patch(intent);
      applied = std::move(intent);
      return ReplaceLocked(collection, *found, std::move(now));
    }
  }
  absl::StatusOr<json> created = Create(resource, intent);
  if (absl::IsAlreadyExists(created.status())) return Apply(resource, object);
  if (!created.ok()) return created;
  MutexLock lock(mutex_);
  applied_[UidOf(*created)] = std::move(intent);
  return created;
}

absl::Status ApiServer::Delete(const Resource& resource, std::string_view name_space,
                               std::string_view name, const DeleteOptions& options) {
  const Collection collection{resource.group, resource.plural};
  const Request key{std::string(name_space), std::string(name)};
  MutexLock lock(mutex_);
  absl::StatusOr<Object> found = FindLocked(collection, key);
  if (!found.ok()) return found.status();
  if (!options.uid.empty() && options.uid != UidOf(**found)) {
    return absl::AbortedError(fmt::format("{} has UID {}, not {}", Named(resource.plural, key),
                                          UidOf(**found), options.uid));
  }
  DeleteLocked(collection, key, options.grace_period_seconds);
  CollectGarbageLocked();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Watch>> ApiServer::OpenWatch(
    const Resource& resource, std::string_view name_space, const WatchOptions& options,
    std::function<void(WatchEvent)> on_event) {
  absl::StatusOr<LabelSelector> selector = LabelSelector::Parse(options.selector);
  if (!selector.ok()) return selector.status();
  auto watcher = std::make_shared<Watcher>();
  watcher->collection = {resource.group, resource.plural};
  watcher->name_space = name_space;
  watcher->selector = *std::move(selector);
  watcher->on_event = std::move(on_event);

  MutexLock lock(mutex_);
  if (options.resource_version.empty()) {
    watcher->seen = version_;
    for (const auto& [key, object] : collections_[watcher->collection]) {
      if (!name_space.empty() && key.name_space != name_space) continue;
      if (watcher->selector.Matches(*object)) watcher->initial.push_back(object);
    }
  } else {
    const std::string& text = options.resource_version;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), watcher->seen);
    if (error != std::errc() || end != text.data() + text.size()) {
      return absl::InvalidArgumentError(fmt::format("resource version \"{}\"", text));
    }
    if (watcher->seen < forgotten_ || watcher->seen > version_) {
      return absl::OutOfRangeError(
          fmt::format("resource version {} is not in {} to {}", text, forgotten_, version_));
    }
  }
  watchers_.push_back(watcher);
  work_ = true;
  changed_.NotifyAll();
  return std::make_unique<OpenedWatch>(this, std::move(watcher));
}

absl::StatusOr<ApiServer::Object> ApiServer::FindLocked(const Collection& collection,
                                                        const Request& key) const {
  const auto objects = collections_.find(collection);
  if (objects != collections_.end()) {
    const auto found = objects->second.find(key);
    if (found != objects->second.end()) return found->second;
  }
  return absl::NotFoundError(fmt::format("{} not found", Named(collection.second, key)));
}

absl::StatusOr<ApiServer::Object> ApiServer::FindToWriteLocked(const Resource& resource,
                                                               const json& object) const {
  if (!At(object, "metadata").is_object() || ResourceVersionOf(object).empty()) {
    return absl::InvalidArgumentError("metadata.resourceVersion: the version read is required");
  }
  const Collection collection{resource.group, resource.plural};
  Request key = KeyOf(object);
  if (key.name_space.empty() && !resource.cluster_wide) key.name_space = "default";
  absl::StatusOr<Object> found = FindLocked(collection, key);
  if (!found.ok()) return found;
  const bool other = !UidOf(object).empty() && UidOf(object) != UidOf(**found);
  if (other || ResourceVersionOf(object) != ResourceVersionOf(**found)) {
    return absl::AbortedError(fmt::format("{} has changed since it was read (version {}, now {})",
                                          Named(collection.second, key), ResourceVersionOf(object),
                                          ResourceVersionOf(**found)));
  }
  return found;
}

bool ApiServer::IsOrphanLocked(const json& object) const {
  const json& owners = MetadataAt(object, "ownerReferences");
  if (!owners.is_array() || owners.empty()) return false;
  for (const json& owner : owners) {
    const json& uid = At(owner, "uid");
    if (uid.is_string() && uids_.contains(uid.get<std::string>())) return false;
  }
  return true;
}

ApiServer::Object ApiServer::StoreLocked(const Collection& collection, json object) {
  object["metadata"]["resourceVersion"] = fmt::to_string(version_ + 1);
  Object stored = std::make_shared<const json>(std::move(object));
  Object& place = collections_[collection][KeyOf(*stored)];
  uids_.insert(UidOf(*stored));
  Object before = std::exchange(place, stored);
  RecordLocked({collection, std::move(before), stored, stored});
  return stored;
}

void ApiServer::RemoveLocked(const Collection& collection, const Request& key) {
  auto entry = collections_[collection].extract(key);
  const Object before = entry.mapped();
  uids_.erase(UidOf(*before));
  applied_.erase(UidOf(*before));
  json last = *before;
  last["metadata"]["resourceVersion"] = fmt::to_string(version_ + 1);
  RecordLocked({collection, before, nullptr, std::make_shared<const json>(std::move(last))});
}

void ApiServer::DeleteLocked(const Collection& collection, const Request& key,
                             int grace_period_seconds) {
  const json& object = *collections_[collection][key];
  int grace = 0;
  if (collection == Collection{"", "pods"} && IsGraceful(object)) {
    grace = grace_period_seconds >= 0 ? grace_period_seconds : GraceSecondsOf(object);
  }
  if (grace == 0 && !HasFinalizers(object)) {
    RemoveLocked(collection, key);
    return;
  }
  const json& current = MetadataAt(object, "deletionGracePeriodSeconds");
  // A later Delete may shorten the period; it never begins anew.
  if (IsBeingDeleted(object) && current.is_number() && current.get<int>() <= grace) return;
  json marked = object;
  marked["metadata"]["deletionGracePeriodSeconds"] = grace;
  marked["metadata"]["deletionTimestamp"] =
      api::FormatWallTime(std::chrono::system_clock::now() + std::chrono::seconds(grace));
  StoreLocked(collection, std::move(marked));
}

void ApiServer::CollectGarbageLocked() {
  while (true) {
    std::vector<std::pair<Collection, Request>> orphans;
    for (const auto& [collection, objects] : collections_) {
      for (const auto& [key, object] : objects) {
        if (!IsBeingDeleted(*object) && IsOrphanLocked(*object)) {
          orphans.emplace_back(collection, key);
        }
      }
    }
    if (orphans.empty()) return;
    for (const auto& [collection, key] : orphans) DeleteLocked(collection, key, -1);
  }
}

void ApiServer::RecordLocked(Change change) {
  ++version_;
  history_.push_back(std::move(change));
  if (history_.size() > options_.history) {
    history_.pop_front();
    ++forgotten_;
  }
  work_ = true;
  changed_.NotifyAll();
}

void ApiServer::Dispatch() {
  while (true) {
    std::vector<std::shared_ptr<Watcher>> watchers;
    {
      MutexLock lock(mutex_);
      while (!work_ && !stopped_) changed_.Wait(mutex_);
      if (stopped_) return;
      work_ = false;
      watchers = watchers_;
    }
    for (const std::shared_ptr<Watcher>& watcher : watchers) {
      while (true) {
        WatchEvent event;
        {
          MutexLock lock(mutex_);
          if (!NextEventLocked(*watcher, event)) break;
          watcher->in_call = true;
        }
        watcher->on_event(event);
        MutexLock lock(mutex_);
        watcher->in_call = false;
        call_ended_.NotifyAll();
      }
    }
  }
}

bool ApiServer::NextEventLocked(Watcher& watcher, WatchEvent& event) {
  if (watcher.ended) return false;
  if (!watcher.initial.empty()) {
    event = {WatchEvent::Type::kAdded, *watcher.initial.front()};
    watcher.initial.pop_front();
    return true;
  }
  if (watcher.seen < forgotten_) {
    watcher.ended = true;
    event = {WatchEvent::Type::kError, GoneStatus()};
    return true;
  }
  while (watcher.seen < version_) {
    const Change& change = history_[watcher.seen - forgotten_];
    ++watcher.seen;
    if (change.collection != watcher.collection) continue;
    if (!watcher.name_space.empty() && KeyOf(*change.last).name_space != watcher.name_space) {
      continue;
    }
    const bool was = change.before != nullptr && watcher.selector.Matches(*change.before);
    const bool is = change.now != nullptr && watcher.selector.Matches(*change.now);
    if (!was && !is) continue;
    event.type = !was ? WatchEvent::Type::kAdded
                 : is ? WatchEvent::Type::kModified
                      : WatchEvent::Type::kDeleted;
    event.object = *change.last;
    return true;
  }
  return false;
}

}  // namespace grapevine::local
