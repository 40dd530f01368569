#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "balloon/message.h"
#include "balloond/controller.h"

namespace vmsilo::balloond {

// What has happened since the start, besides what a status has.
struct Counters {
  std::map<Reason, uint64_t> resizes;  // by their reasons
  uint64_t sample_errors = 0;
  uint64_t resize_errors = 0;
  uint64_t host_errors = 0;
  uint64_t pressure_events = 0;
};

// OpenMetrics text (https://openmetrics.io), which node_exporter's textfile
// collector reads, too. Pure.
std::string MetricsText(const balloon::Status& status,
                        const Counters& counters);

}  // namespace vmsilo::balloond
