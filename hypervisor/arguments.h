#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace vmsilo::hypervisor {

// A command line that grows by options; what the three builders of command
// lines write to.
class Arguments {
 public:
  void Add(absl::string_view option) { argv_.emplace_back(option); }
  void Add(absl::string_view option, std::string value) {
    argv_.emplace_back(option);
    argv_.push_back(std::move(value));
  }
  void Append(const std::vector<std::string>& args) {
    argv_.insert(argv_.end(), args.begin(), args.end());
  }

  std::vector<std::string> Take() && { return std::move(argv_); }

 private:
  std::vector<std::string> argv_;
};

}  // namespace vmsilo::hypervisor
