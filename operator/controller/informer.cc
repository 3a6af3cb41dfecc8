#include "operator/controller/informer.h"

#include <utility>

#include "operator/base/check.h"
#include "operator/controller/reflector.h"

namespace grapevine::controller {

Informer::Informer(ApiClient* client, const Clock* clock, InformerOptions options)
    : store_(options.indexed_label) {
  if (options.name_spaces.empty()) options.name_spaces.insert("");
  for (const std::string& name_space : options.name_spaces) {
    reflectors_.push_back(std::make_unique<Reflector>(
        client, clock,
        ReflectorOptions{.resource = options.resource,
                         .name_space = name_space,
                         .selector = options.selector,
                         .seed = options.seed,
                         .trim = options.trim,
                         .on_listed =
                             [this, name_space](std::vector<nlohmann::json> objects) {
                               OnListed(std::move(objects), name_space);
                             },
                         .on_event = [this](WatchEvent event) { OnEvent(std::move(event)); }}));
  }
  unlisted_ = std::move(options.name_spaces);
}

Informer::~Informer() { Stop(); }

void Informer::Subscribe(std::function<void(const ObjectChange&)> subscriber) {
  GRAPEVINE_CHECK(!started_);
  subscribers_.push_back(std::move(subscriber));
}

void Informer::Start() {
  started_ = true;
  for (const auto& reflector : reflectors_) reflector->Start();
}

void Informer::Stop() {
  for (const auto& reflector : reflectors_) reflector->Stop();
}

bool Informer::HasSynced() const {
  MutexLock lock(mutex_);
  return unlisted_.empty();
}

bool Informer::WaitForSync(Time deadline) {
  MutexLock lock(mutex_);
  while (!unlisted_.empty()) {
    if (!synced_changed_.WaitUntil(mutex_, deadline)) return unlisted_.empty();
  }
  return true;
}

void Informer::OnListed(std::vector<nlohmann::json> objects, const std::string& name_space) {
  MutexLock telling(telling_);
  for (const ObjectChange& change : store_.Replace(std::move(objects), name_space)) Tell(change);
  MutexLock lock(mutex_);
  unlisted_.erase(name_space);
  if (unlisted_.empty()) synced_changed_.NotifyAll();
}

void Informer::OnEvent(WatchEvent event) {
  MutexLock telling(telling_);
  if (event.type == WatchEvent::Type::kDeleted) {
    const ObjectChange change = store_.Erase(KeyOf(event.object));
    if (change.before != nullptr) Tell(change);
    return;
  }
  Tell(store_.Put(std::move(event.object)));
}

void Informer::Tell(const ObjectChange& change) {
  for (const auto& subscriber : subscribers_) subscriber(change);
}

}  // namespace grapevine::controller
