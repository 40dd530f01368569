#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The two macros that later Abseil releases have as well; Debian 12's has
// none. Both evaluate their expression once.

// Returns from the enclosing function when `expr` is not OK. The function may
// return absl::Status or absl::StatusOr<T>.
#define VMSILO_RETURN_IF_ERROR(expr)                 \
  do {                                               \
    absl::Status vmsilo_status_ = (expr);            \
    if (!vmsilo_status_.ok()) return vmsilo_status_; \
  } while (false)

// Evaluates `expr`, a StatusOr, and either returns its status or moves its
// value into `lhs`, which may declare a variable. Not a single statement: an
// unbraced `if` cannot hold it.
#define VMSILO_ASSIGN_OR_RETURN(lhs, expr) \
  VMSILO_ASSIGN_OR_RETURN_IMPL_(           \
      VMSILO_STATUS_CONCAT_(vmsilo_status_or_, __LINE__), lhs, expr)

#define VMSILO_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                  \
  if (!result.ok()) return std::move(result).status();   \
  lhs = *std::move(result)

#define VMSILO_STATUS_CONCAT_(a, b) VMSILO_STATUS_CONCAT_INNER_(a, b)
#define VMSILO_STATUS_CONCAT_INNER_(a, b) a##b
