#include "operator/metrics/process_collector.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace grapevine::metrics {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Single(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family{.name = name, .help = help, .type = type};
  prometheus::ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(metric);
  return family;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The first two fields of statm are pages of virtual and of resident memory.
std::pair<double, double> MemoryBytes() {
  double virtual_pages = 0;
  double resident_pages = 0;
  std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {virtual_pages * page, resident_pages * page};
}

double OpenFiles() {
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  return error ? 0 : static_cast<double>(std::distance(begin(files), end(files)));
}

}  // namespace

std::vector<MetricFamily> ProcessCollector::Collect() const {
  const auto [virtual_bytes, resident_bytes] = MemoryBytes();
  return {
      Single("process_cpu_seconds_total", "User and system CPU time", MetricType::Counter,
             CpuSeconds()),
      Single("process_open_fds", "Open file descriptors", MetricType::Gauge, OpenFiles()),
      Single("process_virtual_memory_bytes", "Virtual memory", MetricType::Gauge, virtual_bytes),
      Single("process_resident_memory_bytes", "Resident memory", MetricType::Gauge, resident_bytes),
      Single("process_start_time_seconds", "When the process started, in Unix time",
             MetricType::Gauge, std::chrono::duration<double>(started_.time_since_epoch()).count()),
  };
}

}  // namespace grapevine::metrics
