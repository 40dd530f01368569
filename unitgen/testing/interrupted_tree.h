#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "unitgen/output.h"
#include "unitgen/tree.h"

namespace vmsilo::unitgen {

// A tree that stops at its nth changing step. That step and, as after a power
// cut or a kill, all that follow do nothing and fail; or, as on a full disk,
// only the steps that need room fail, from then on.
class InterruptedTree : public Tree {
 public:
  enum class How { kPowerCut, kFullDisk };

  InterruptedTree(Tree* tree, int steps, How how)
      : tree_(tree), steps_left_(steps), how_(how) {}

  // Whether it came to the interruption.
  bool interrupted() const { return steps_left_ < 0; }

  absl::StatusOr<std::optional<Node>> Look(absl::string_view path) override {
    return tree_->Look(path);
  }
  absl::Status MakeDirectory(absl::string_view path) override {
    return Grows() ? tree_->MakeDirectory(path) : Stopped();
  }
  absl::Status Stage(absl::string_view path, const File& file) override {
    return Grows() ? tree_->Stage(path, file) : Stopped();
  }
  absl::Status Commit(absl::string_view path, bool replace) override {
    return Step() ? tree_->Commit(path, replace) : Stopped();
  }
  absl::Status Discard(absl::string_view path) override {
    return Step() ? tree_->Discard(path) : Stopped();
  }
  absl::Status Remove(absl::string_view path) override {
    return Step() ? tree_->Remove(path) : Stopped();
  }
  absl::Status RemoveDirectory(absl::string_view path) override {
    return Step() ? tree_->RemoveDirectory(path) : Stopped();
  }
  // Costs time in a test that interrupts a hundred times, and nobody cuts the
  // power of the test machine.
  absl::Status Sync() override { return absl::OkStatus(); }

 private:
  bool Grows() {
    if (steps_left_ >= 0) --steps_left_;
    return steps_left_ >= 0;
  }
  bool Step() { return how_ == How::kFullDisk || Grows(); }
  static absl::Status Stopped() {
    return absl::ResourceExhaustedError("no space left (injected)");
  }

  Tree* tree_;
  int steps_left_;
  How how_;
};

}  // namespace vmsilo::unitgen
