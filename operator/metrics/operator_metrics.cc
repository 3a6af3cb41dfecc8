#include "operator/metrics/operator_metrics.h"

#include <map>

#include "fmt/format.h"
#include "operator/metrics/job_collector.h"
#include "operator/metrics/process_collector.h"
#include "operator/metrics/work_collector.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace grapevine::metrics {
namespace {

using Outcome = controller::Probe::Outcome;

// controller-runtime's bounds for both families of durations, from 10 us to 1,000 s.
const prometheus::Histogram::BucketBoundaries kQueueBounds = {1e-5, 1e-4, 1e-3, 1e-2, 0.1,
                                                              1,    10,   100,  1000};
const prometheus::Histogram::BucketBoundaries kReconcileBounds = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

const prometheus::Histogram::BucketBoundaries kRequestBounds = {0.005, 0.025, 0.1, 0.25, 0.5, 1,
                                                                2,     4,     8,   15,   30,  60};

const std::map<Outcome, std::string> kResults = {{Outcome::kSuccess, "success"},
                                                 {Outcome::kRequeueAfter, "requeue_after"},
                                                 {Outcome::kError, "error"},
                                                 {Outcome::kTerminalError, "error"}};

}  // namespace

struct OperatorMetrics::Series {
  explicit Series(const OperatorMetricsOptions& options)
      : registry(std::make_shared<prometheus::Registry>()),
        jobs(std::make_shared<JobCollector>(options.jobs)),
        process(std::make_shared<ProcessCollector>()) {
    const prometheus::Labels queue = {{"name", options.controller},
                                      {"controller", options.controller}};
    work = std::make_shared<WorkCollector>(queue, options.clock);
    const prometheus::Labels controller = {{"controller", options.controller}};
    depth = &Gauge("workqueue_depth", "Names that wait in the queue", queue);
    adds = &Counter("workqueue_adds_total", "Names added to the queue", queue);
    waited = &Histogram("workqueue_queue_duration_seconds", "Time that a name waits", queue,
                        kQueueBounds);
    worked = &Histogram("workqueue_work_duration_seconds", "Time that a name is worked on", queue,
                        kQueueBounds);
    retries = &Counter("workqueue_retries_total", "Names added again after an error", queue);
    took = &Histogram("controller_runtime_reconcile_time_seconds", "Time of one reconciliation",
                      controller, kReconcileBounds);
    errors = &Counter("controller_runtime_reconcile_errors_total", "Reconciliations that failed",
                      controller);
    terminal_errors = &Counter("controller_runtime_terminal_reconcile_errors_total",
                               "Of these, those that are not tried again", controller);
    active = &Gauge("controller_runtime_active_workers", "Threads that reconcile now", controller);
    Gauge("controller_runtime_max_concurrent_reconciles", "Threads that may reconcile at once",
          controller)
        .Set(options.threads);
    leading = &Gauge("leader_election_master_status", "1 while this process leads",
                     {{"name", "grapevine-operator"}});
    for (const auto& [outcome, result] : kResults) {
      prometheus::Labels labels = controller;
      labels["result"] = result;
      totals[result] = &Counter("controller_runtime_reconcile_total", "Reconciliations", labels);
    }
  }

  // By what is seen: the codes of an API server are few.
  prometheus::Counter& Requests(std::string_view method, std::string_view host, int http_status) {
    const std::string code = http_status == 0 ? "<error>" : std::to_string(http_status);
    return prometheus::BuildCounter()
        .Name("rest_client_requests_total")
        .Help("Calls to the API server")
        .Register(*registry)
        .Add({{"code", code}, {"method", std::string(method)}, {"host", std::string(host)}});
  }
  prometheus::Histogram& RequestSeconds(std::string_view method, std::string_view host) {
    return Histogram("rest_client_request_duration_seconds", "Time of a call to the API server",
                     {{"verb", std::string(method)}, {"host", std::string(host)}}, kRequestBounds);
  }

  const std::shared_ptr<prometheus::Registry> registry;
  const std::shared_ptr<JobCollector> jobs;
  const std::shared_ptr<ProcessCollector> process;
  std::shared_ptr<WorkCollector> work;
  prometheus::Gauge* depth;
  prometheus::Counter* adds;
  prometheus::Histogram* waited;
  prometheus::Histogram* worked;
  prometheus::Counter* retries;
  prometheus::Histogram* took;
  prometheus::Counter* errors;
  prometheus::Counter* terminal_errors;
  prometheus::Gauge* active;
  prometheus::Gauge* leading;
  std::map<std::string, prometheus::Counter*> totals;  // by result

 private:
  prometheus::Counter& Counter(const char* name, const char* help,
                               const prometheus::Labels& labels) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry).Add(labels);
  }
  prometheus::Gauge& Gauge(const char* name, const char* help, const prometheus::Labels& labels) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry).Add(labels);
  }
  prometheus::Histogram& Histogram(const char* name, const char* help,
                                   const prometheus::Labels& labels,
                                   const prometheus::Histogram::BucketBoundaries& bounds) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry).Add(labels,
                                                                                      bounds);
  }
};

OperatorMetrics::OperatorMetrics(const OperatorMetricsOptions& options)
    : series_(std::make_unique<Series>(options)) {}
OperatorMetrics::~OperatorMetrics() = default;

absl::Status OperatorMetrics::Serve(const std::string& address) {
  auto exposer = MetricsExposer::Serve(
      address, {series_->registry, series_->jobs, series_->process, series_->work});
  if (exposer.ok()) exposer_ = *std::move(exposer);
  return exposer.status();
}

void OperatorMetrics::StopServing() { exposer_.reset(); }

int OperatorMetrics::port() const { return exposer_->port(); }

void OperatorMetrics::SetLeading(bool leading) { series_->leading->Set(leading ? 1 : 0); }

void OperatorMetrics::OnAdded(size_t waiting) {
  series_->adds->Increment();
  series_->depth->Set(static_cast<double>(waiting));
}

void OperatorMetrics::OnReconcileStarted(const controller::Request& request, Duration waited,
                                         size_t waiting) {
  series_->work->Begin(request);
  series_->depth->Set(static_cast<double>(waiting));
  series_->waited->Observe(ToSeconds(waited));
  series_->active->Increment();
}

void OperatorMetrics::OnReconciled(const controller::Request& request, Outcome outcome,
                                   Duration took) {
  series_->work->End(request);
  series_->active->Decrement();
  series_->worked->Observe(ToSeconds(took));
  series_->took->Observe(ToSeconds(took));
  series_->totals.at(kResults.at(outcome))->Increment();
  if (outcome == Outcome::kError) series_->retries->Increment();
  if (outcome == Outcome::kError || outcome == Outcome::kTerminalError) {
    series_->errors->Increment();
  }
  if (outcome == Outcome::kTerminalError) series_->terminal_errors->Increment();
}

void OperatorMetrics::OnRequest(std::string_view method, std::string_view host, int http_status,
                                Duration took) {
  series_->Requests(method, host, http_status).Increment();
  series_->RequestSeconds(method, host).Observe(ToSeconds(took));
}

}  // namespace grapevine::metrics
