#include "balloond/sim/random.h"

#include <cmath>
#include <cstdint>

namespace vmsilo::balloond::sim {

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double Random::Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

double Random::Uniform(double low, double high) {
  return low + (high - low) * Uniform();
}

double Random::Exponential(double mean) {
  return -mean * std::log(1 - Uniform());
}

double Random::LogNormal(double median, double sigma) {
  // Twelve uniforms make a normal one, near enough for desktops.
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += Uniform();
  return median * std::exp(sigma * sum);
}

}  // namespace vmsilo::balloond::sim
