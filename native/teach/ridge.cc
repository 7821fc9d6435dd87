#include "ridge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels.h"

namespace gapcam {
namespace {

// Rows whose length and number are padded with zeros, as TeachKernels::products takes them.
class Rows {
 public:
  Rows(uint32_t count, uint32_t length) : stride_(Up(length)), numbers_(size_t{Up(count)} * stride_) {}

  double* operator[](size_t i) { return numbers_.data() + i * stride_; }
  const double* operator[](size_t i) const { return numbers_.data() + i * stride_; }

  static uint32_t Up(uint32_t n) { return (n + kProductLanes - 1) / kProductLanes * kProductLanes; }
  static uint32_t Down(uint32_t n) { return n / kProductLanes * kProductLanes; }

 private:
  uint32_t stride_;
  std::vector<double> numbers_;
};

// Four products of a row with rows that follow each other.
struct Four {
  double totals[kProductRows];

  Four(const TeachKernels& kernels, const double* a, const Rows& rows, uint32_t first, uint32_t from, uint32_t to) {
    const double* four[kProductRows];
    for (int r = 0; r < kProductRows; ++r) four[r] = rows[first + r];
    kernels.products(a, four, Rows::Down(from), Rows::Up(to), totals);
  }
};

// One product in the same order.
double Product(const double* a, const double* b, uint32_t from, uint32_t to) {
  double sums[kProductLanes] = {};
  for (uint32_t k = Rows::Down(from); k < Rows::Up(to); k += kProductLanes)
    for (int lane = 0; lane < kProductLanes; ++lane) sums[lane] += a[k + lane] * b[k + lane];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// One fit after the other to the same products.
class Fits {
 public:
  explicit Fits(const RidgeProblem& problem)
      : problem_(problem),
        kernels_(ChooseTeachKernels()),
        n_(problem.samples),
        count_(problem.state_count),
        means_(n_),
        centred_(size_t{n_} * n_),
        shares_(count_) {
    Centre();
    for (uint32_t i = 0; i < n_; ++i) shares_[problem.states[i]] += 1;
    for (double& share : shares_) share /= n_;
  }

  // Writes a result, and returns its squared left-out errors.
  double Fit(double lambda, double* result) {
    double *alpha = result, *intercept = alpha + size_t{n_} * count_, *left_out = intercept + count_;
    const Rows root = InverseRoot(lambda * n_);
    SolveAlpha(root, alpha);
    for (uint32_t s = 0; s < count_; ++s) {
      double sum = 0;
      for (uint32_t i = 0; i < n_; ++i) sum += means_[i] * alpha[i * count_ + s];
      intercept[s] = shares_[s] - sum;
    }
    for (const auto& group : problem_.groups) LeaveOut(group, root, lambda * n_, alpha, left_out);
    left_out[size_t{n_} * count_] = lambda;
    double error = 0;
    for (uint32_t i = 0; i < n_; ++i)
      for (uint32_t s = 0; s < count_; ++s) {
        const double difference = left_out[i * count_ + s] - Target(i, s);
        error += difference * difference;
      }
    return error;
  }

 private:
  double Target(uint32_t i, uint32_t s) const { return problem_.states[i] == s ? 1 : 0; }

  // K minus the means of its rows and columns plus the mean of all.
  void Centre() {
    double mean = 0;
    for (uint32_t i = 0; i < n_; ++i) {
      const double* row = problem_.products + size_t{i} * n_;
      for (uint32_t j = 0; j < n_; ++j) means_[i] += row[j];
      means_[i] /= n_;
      mean += means_[i];
    }
    mean /= n_;
    for (uint32_t i = 0; i < n_; ++i)
      for (uint32_t j = 0; j < n_; ++j) {
        const size_t at = size_t{i} * n_ + j;
        centred_[at] = problem_.products[at] - means_[i] - means_[j] + mean;
      }
  }

  // The factor L of the centred products with `added` on the diagonal, row by row in blocks of rows.
  Rows Factor(double added) const {
    Rows factor(n_, n_);
    for (uint32_t first = 0; first < n_; first += kProductRows)
      for (uint32_t j = 0; j < std::min(n_, first + kProductRows); ++j) {
        const uint32_t end = std::min(n_, first + kProductRows);
        const Four products(kernels_, factor[j], factor, first, 0, j);
        for (uint32_t i = std::max(first, j); i < end; ++i) {
          const double rest = centred_[size_t{i} * n_ + j] + (i == j ? added : 0) - products.totals[i - first];
          const double least = std::numeric_limits<double>::denorm_min();
          factor[i][j] = i == j ? std::sqrt(std::max(rest, least)) : rest / factor[j][j];
        }
      }
    return factor;
  }

  // The columns of L⁻¹, each as a row: entry (i, j) of the inverse is the product of rows i and j.
  Rows InverseRoot(double added) const {
    const Rows factor = Factor(added);
    Rows root(n_, n_);
    for (uint32_t first = 0; first < n_; first += kProductRows)
      for (uint32_t i = first; i < n_; ++i) {
        const Four products(kernels_, factor[i], root, first, first, i);
        for (uint32_t c = first; c < std::min(i, first + kProductRows); ++c)
          root[c][i] = -products.totals[c - first] / factor[i][i];
        if (i < first + kProductRows) root[i][i] = 1 / factor[i][i];
      }
    return root;
  }

  // α = M (Y - shares): first L⁻¹, then its transpose.
  void SolveAlpha(const Rows& root, double* alpha) const {
    Rows half(count_, n_);
    for (uint32_t c = 0; c < n_; ++c)
      for (uint32_t s = 0; s < count_; ++s) {
        const double target = Target(c, s) - shares_[s];
        double* sums = half[s];
        for (uint32_t k = c; k < n_; ++k) sums[k] += root[c][k] * target;
      }
    for (uint32_t c = 0; c < n_; ++c)
      for (uint32_t s = 0; s < count_; s += kProductRows) {
        const Four products(kernels_, root[c], half, s, c, n_);
        for (uint32_t t = s; t < std::min(count_, s + kProductRows); ++t)
          alpha[c * count_ + t] = products.totals[t - s];
      }
  }

  void LeaveOut(const std::vector<uint32_t>& group, const Rows& root, double weight, const double* alpha,
                double* left_out) const {
    const size_t size = group.size();
    std::vector<double> system(size * size), sides(size * count_);
    for (size_t r = 0; r < size; ++r) {
      for (size_t c = r; c < size; ++c) {
        const uint32_t i = group[r], j = group[c];
        const double value = weight * Product(root[i], root[j], std::max(i, j), n_) - 1.0 / n_;
        system[r * size + c] = system[c * size + r] = value;
      }
      for (uint32_t s = 0; s < count_; ++s) sides[r * count_ + s] = weight * alpha[group[r] * count_ + s];
    }
    Solve(&system, &sides, size);
    for (size_t r = 0; r < size; ++r)
      for (uint32_t s = 0; s < count_; ++s)
        left_out[group[r] * count_ + s] = Target(group[r], s) - sides[r * count_ + s];
  }

  // Gaussian elimination with row exchange. A singular system, where a group is all that there is, gives zeros.
  void Solve(std::vector<double>* matrix, std::vector<double>* sides, size_t n) const {
    std::vector<double>&a = *matrix, &b = *sides;
    for (size_t p = 0; p < n; ++p) {
      size_t best = p;
      for (size_t i = p + 1; i < n; ++i)
        if (std::abs(a[i * n + p]) > std::abs(a[best * n + p])) best = i;
      if (std::abs(a[best * n + p]) < 1e-12) return std::fill(b.begin(), b.end(), 0.0);
      if (best != p) {
        std::swap_ranges(a.begin() + p * n, a.begin() + (p + 1) * n, a.begin() + best * n);
        std::swap_ranges(b.begin() + p * count_, b.begin() + (p + 1) * count_, b.begin() + best * count_);
      }
      for (size_t i = 0; i < n; ++i) {
        if (i == p) continue;
        const double factor = a[i * n + p] / a[p * n + p];
        for (size_t k = p; k < n; ++k) a[i * n + k] -= factor * a[p * n + k];
        for (uint32_t s = 0; s < count_; ++s) b[i * count_ + s] -= factor * b[p * count_ + s];
      }
    }
    for (size_t i = 0; i < n; ++i)
      for (uint32_t s = 0; s < count_; ++s) b[i * count_ + s] /= a[i * n + i];
  }

  const RidgeProblem& problem_;
  const TeachKernels& kernels_;
  const uint32_t n_, count_;
  std::vector<double> means_, centred_, shares_;
};

}  // namespace

size_t RidgeResultLength(const RidgeProblem& problem) {
  return (size_t{2} * problem.samples + 1) * problem.state_count + 1;
}

void FitRidge(const RidgeProblem& problem, double* result) {
  Fits fits(problem);
  std::vector<double> tried(RidgeResultLength(problem));
  double least = 0;
  for (size_t i = 0; i < problem.lambdas.size(); ++i) {
    const double error = fits.Fit(problem.lambdas[i], tried.data());
    if (i > 0 && !(error < least)) return;
    least = error;
    std::copy(tried.begin(), tried.end(), result);
  }
}

}  // namespace gapcam
