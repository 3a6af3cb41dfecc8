#include "operator/controller/informer.h"

#include <utility>

#include "operator/base/check.h"
#include "operator/controller/reflector.h"

namespace grapevine::controller {

Informer::Informer(ApiClient* client, const Clock* clock, InformerOptions options)
    : store_(options.indexed_label),
      reflector_(std::make_unique<Reflector>(
          client, clock,
          ReflectorOptions{
              .resource = std::move(options.resource),
              .name_space = std::move(options.name_space),
              .selector = std::move(options.selector),
              .seed = options.seed,
              .trim = std::move(options.trim),
              .on_listed =
                  [this](std::vector<nlohmann::json> objects) { OnListed(std::move(objects)); },
              .on_event = [this](WatchEvent event) { OnEvent(std::move(event)); }})) {}

Informer::~Informer() { Stop(); }

void Informer::Subscribe(std::function<void(const ObjectChange&)> subscriber) {
  GRAPEVINE_CHECK(!started_);
  subscribers_.push_back(std::move(subscriber));
}

void Informer::Start() {
  started_ = true;
  reflector_->Start();
}

void Informer::Stop() { reflector_->Stop(); }

bool Informer::HasSynced() const {
  MutexLock lock(mutex_);
  return synced_;
}

bool Informer::WaitForSync(Time deadline) {
  MutexLock lock(mutex_);
  while (!synced_) {
    if (!synced_changed_.WaitUntil(mutex_, deadline)) return synced_;
  }
  return true;
}

void Informer::OnListed(std::vector<nlohmann::json> objects) {
  for (const ObjectChange& change : store_.Replace(std::move(objects))) Tell(change);
  MutexLock lock(mutex_);
  synced_ = true;
  synced_changed_.NotifyAll();
}

void Informer::OnEvent(WatchEvent event) {
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
