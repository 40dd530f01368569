#pragma once

#include <cstdint>

namespace vmsilo::balloond::sim {

// A generator of our own: those of the standard library are the same
// everywhere, its distributions are not, and a seed must mean the same desk
// on every machine for ever.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next();
  // In [0, 1).
  double Uniform();
  double Uniform(double low, double high);
  // With this mean.
  double Exponential(double mean);
  // exp(N(0, sigma)) times `median`.
  double LogNormal(double median, double sigma);

 private:
  uint64_t state_;
};

}  // namespace vmsilo::balloond::sim
