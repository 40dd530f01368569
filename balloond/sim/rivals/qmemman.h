#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/policy.h"

namespace vmsilo::balloond::sim {

// What qmemman knows of a domain. Bytes.
struct XenDomain {
  std::string id;               // "0" is the host
  std::optional<int64_t> used;  // unknown until it reports
  int64_t maximum = 0;
  // What it has; what it has or has been promised.
  int64_t current = 0;
  int64_t actual = 0;
  int64_t last_target = 0;
  bool has_no_progress = false;
};

struct XenTarget {
  std::string domain;
  int64_t target = 0;

  friend bool operator==(const XenTarget&, const XenTarget&) = default;
};

// How Qubes OS shares memory: each domain should have 1.3 times what it uses,
// and what is left is shared in that proportion, too.
// (qubes-core-admin 1ad5f9b8, qubes/qmemman/algo.py.)
class QubesAlgorithm {
 public:
  // The original adds donors' memory to what is free with the wrong sign, so
  // that in want nobody gets anything. Nobody would keep that if it were
  // noticed, so only the test of the original's vectors has it.
  explicit QubesAlgorithm(bool has_sign_quirk = false)
      : has_sign_quirk_(has_sign_quirk) {}

  static int64_t Preferred(const XenDomain& domain);
  static int64_t Needed(const XenDomain& domain);
  // So that `wanted` becomes free; nothing if so much cannot be had.
  std::vector<XenTarget> Free(int64_t wanted,
                              const std::vector<XenDomain>& domains) const;
  // So that everybody has what is his; who gives comes first.
  std::vector<XenTarget> Balance(int64_t free,
                                 const std::vector<XenDomain>& domains) const;

 private:
  std::vector<XenTarget> ShareEnough(
      int64_t surplus, int64_t preferred,
      const std::vector<const XenDomain*>& domains) const;
  std::vector<XenTarget> ShareWant(
      int64_t free, const std::vector<const XenDomain*>& domains) const;

  bool has_sign_quirk_;
};

// The daemon around it, with Xen's terms put in ours: what the guests do not
// have is the host's, as if it were domain 0 with a balloon that obeys at
// once. Guests report by themselves, when what they use has changed by
// 30 MB; the host likewise.
std::unique_ptr<Controller> MakeQmemman(const PolicyContext& context);

}  // namespace vmsilo::balloond::sim
