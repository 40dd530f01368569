#pragma once

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

// The matchers that later Abseil releases have in absl/status, under the same
// names: IsOk(), StatusIs(code[, message matcher]), IsOkAndHolds(matcher).

namespace vmsilo {
namespace testing_internal {

inline const absl::Status& GetStatus(const absl::Status& status) {
  return status;
}

template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& status) {
  return status.status();
}

class StatusIsMatcher {
 public:
  StatusIsMatcher(absl::StatusCode code,
                  ::testing::Matcher<const std::string&> message)
      : code_(code), message_(std::move(message)) {}

  template <typename T>
  operator ::testing::Matcher<T>()
      const {  // NOLINT(google-explicit-constructor)
    return ::testing::MakePolymorphicMatcher(*this);
  }

  template <typename T>
  bool MatchAndExplain(const T& value,
                       ::testing::MatchResultListener* listener) const {
    const absl::Status& status = GetStatus(value);
    *listener << "which is " << status;
    return status.code() == code_ &&
           message_.MatchAndExplain(std::string(status.message()), listener);
  }

  void DescribeTo(std::ostream* os) const {
    *os << "has code " << absl::StatusCodeToString(code_)
        << " and a message that ";
    message_.DescribeTo(os);
  }

  void DescribeNegationTo(std::ostream* os) const {
    *os << "not (";
    DescribeTo(os);
    *os << ")";
  }

 private:
  absl::StatusCode code_;
  ::testing::Matcher<const std::string&> message_;
};

template <typename M>
class IsOkAndHoldsMatcher {
 public:
  explicit IsOkAndHoldsMatcher(M matcher) : matcher_(std::move(matcher)) {}

  template <typename T>
  operator ::testing::Matcher<T>()
      const {  // NOLINT(google-explicit-constructor)
    return ::testing::MakePolymorphicMatcher(*this);
  }

  template <typename T>
  bool MatchAndExplain(const absl::StatusOr<T>& value,
                       ::testing::MatchResultListener* listener) const {
    if (!value.ok()) {
      *listener << "which is " << value.status();
      return false;
    }
    return ::testing::SafeMatcherCast<const T&>(matcher_).MatchAndExplain(
        *value, listener);
  }

  void DescribeTo(std::ostream* os) const { *os << "is OK and holds a match"; }
  void DescribeNegationTo(std::ostream* os) const {
    *os << "is not OK or does not hold a match";
  }

 private:
  M matcher_;
};

}  // namespace testing_internal

inline testing_internal::StatusIsMatcher StatusIs(
    absl::StatusCode code,
    ::testing::Matcher<const std::string&> message = ::testing::_) {
  return {code, std::move(message)};
}

template <typename M>
testing_internal::IsOkAndHoldsMatcher<M> IsOkAndHolds(M matcher) {
  return testing_internal::IsOkAndHoldsMatcher<M>(std::move(matcher));
}

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  *result_listener << "which is " << testing_internal::GetStatus(arg);
  return testing_internal::GetStatus(arg).ok();
}

}  // namespace vmsilo
