#include "anchor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace gapcam {
namespace {

constexpr float kRobust = 0.8f;       // residuals beyond this count little: something else is seen there
constexpr uint32_t kBlocks = 8;       // across and down, for features and the verification
constexpr float kTextured = 0.12f;    // mean square of a block's local contrast
constexpr float kAgreeing = 0.5f;     // correlation of a block that shows the same
constexpr float kShiftShare = 0.12f;  // searched shifts, as a share of the picture's sides
constexpr int kMostRounds = 20;       // of the largest size; it ends earlier when nothing moves any more
constexpr float kDegree = 3.14159265f / 180;

typedef float Four __attribute__((vector_size(16)));

inline Four LoadFour(const float* from) {
  Four value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
inline float Sum(Four v) { return v[0] + v[1] + v[2] + v[3]; }

// Value between pixels; x and y must be at least one pixel inside.
inline float Sample(const float* picture, uint32_t width, float x, float y) {
  const auto left = static_cast<uint32_t>(x), top = static_cast<uint32_t>(y);
  const float fx = x - float(left), fy = y - float(top);
  const float* at = picture + size_t{top} * width + left;
  const float above = at[0] + fx * (at[1] - at[0]), below = at[width] + fx * (at[width + 1] - at[width]);
  return above + fy * (below - above);
}

inline bool IsInside(float x, float y, uint32_t width, uint32_t height) {
  return x >= 1 && y >= 1 && x < float(width) - 2 && y < float(height) - 2;
}

inline void Place(const Similarity& s, float x, float y, float* to_x, float* to_y) {
  *to_x = s.a * x - s.b * y + s.x_shift, *to_y = s.b * x + s.a * y + s.y_shift;
}

Similarity Scaled(const Similarity& s, float times) { return {s.a, s.b, s.x_shift * times, s.y_shift * times}; }

// Solves the symmetric 4 by 4 system by elimination. False where it says nothing.
bool Solve(double (&m)[4][5]) {
  for (int i = 0; i < 4; ++i) {
    int pivot = i;
    for (int r = i + 1; r < 4; ++r)
      if (std::fabs(m[r][i]) > std::fabs(m[pivot][i])) pivot = r;
    if (std::fabs(m[pivot][i]) < 1e-9) return false;
    std::swap(m[i], m[pivot]);
    for (int r = 0; r < 4; ++r) {
      if (r == i) continue;
      const double factor = m[r][i] / m[i][i];
      for (int c = i; c < 5; ++c) m[r][c] -= factor * m[i][c];
    }
  }
  for (int i = 0; i < 4; ++i) m[i][4] /= m[i][i];
  return true;
}

// Correlation of two series from their sums.
struct Correlation {
  double n = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0;
  void Add(float x, float y) { n += 1, a += x, b += y, aa += double(x) * x, bb += double(y) * y, ab += double(x) * y; }
  void Add(const Correlation& o) { n += o.n, a += o.a, b += o.b, aa += o.aa, bb += o.bb, ab += o.ab; }
  float Value() const {
    if (n < 1) return 0;
    const double spread = (aa - a * a / n) * (bb - b * b / n);
    return spread > 1e-12 ? float((ab - a * b / n) / std::sqrt(spread)) : 0;
  }
};

}  // namespace

ViewAnchor::ViewAnchor(uint32_t width, uint32_t height) : contrast_(width, height) {
  for (int i = 0; i < kSizes; ++i) {
    Size& size = sizes_[i];
    size.width = width >> i, size.height = height >> i;
    const size_t area = size_t{size.width} * size.height;
    size.levels.resize(area), size.reference.resize(area), size.picture.resize(area);
    size.features.reserve(area);
  }
  turned_.resize(sizes_[kSizes - 1].levels.size());
}

void ViewAnchor::SetReference(const float* levels) {
  Describe(levels, &Size::reference);
  for (Size& size : sizes_) PickFeatures(&size);
  last_ = Similarity();
}

// The local contrast of a picture in all sizes.
void ViewAnchor::Describe(const float* levels, std::vector<float> Size::* to) {
  std::copy_n(levels, sizes_[0].levels.size(), sizes_[0].levels.begin());
  for (int i = 0; i < kSizes; ++i) {
    Size& size = sizes_[i];
    if (i > 0) {
      const Size& finer = sizes_[i - 1];
      for (uint32_t y = 0; y < size.height; ++y)
        for (uint32_t x = 0; x < size.width; ++x) {
          const float* at = finer.levels.data() + size_t{2} * y * finer.width + 2 * x;
          size.levels[size_t{y} * size.width + x] = (at[0] + at[1] + at[finer.width] + at[finer.width + 1]) / 4;
        }
    }
    contrast_.Measure(size.levels.data(), size.width, size.height, (size.*to).data());
  }
}

// Pixels of the reference with more slope than their block has on average.
void ViewAnchor::PickFeatures(Size* size) {
  const uint32_t width = size->width, height = size->height;
  const float* r = size->reference.data();
  size->features.clear();
  const auto slopes = [&](uint32_t x, uint32_t y, float* sx, float* sy) {
    const float* at = r + size_t{y} * width + x;
    *sx = (at[1] - at[-1]) / 2, *sy = (at[width] - at[-int64_t{width}]) / 2;
    return *sx * *sx + *sy * *sy;
  };
  const uint32_t skip = width * height > 8000 ? 2 : 1;
  for (uint32_t block = 0; block < kBlocks * kBlocks; ++block) {
    const uint32_t column = block % kBlocks, line = block / kBlocks;
    const uint32_t left = std::max(2u, column * width / kBlocks), top = std::max(2u, line * height / kBlocks);
    const uint32_t right = std::min(width - 2, (column + 1) * width / kBlocks),
                   bottom = std::min(height - 2, (line + 1) * height / kBlocks);
    float sx = 0, sy = 0;
    double sum = 0;
    for (uint32_t y = top; y < bottom; ++y)
      for (uint32_t x = left; x < right; ++x) sum += slopes(x, y, &sx, &sy);
    const float least = std::max(0.02f, float(sum / std::max(1u, (right - left) * (bottom - top))) * 0.7f);
    for (uint32_t y = top; y < bottom; ++y)
      for (uint32_t x = left + y % skip; x < right; x += skip)
        if (slopes(x, y, &sx, &sy) > least)
          size->features.push_back({float(x) - float(width) / 2 + 0.5f, float(y) - float(height) / 2 + 0.5f,
                                    r[size_t{y} * width + x], sx, sy});
  }
}

void ViewAnchor::Locate(const float* levels, AnchorResult* result) {
  Describe(levels, &Size::picture);
  *result = AnchorResult();
  Similarity place = Scaled(last_, 0.5f);
  if (Refine(sizes_[1], 10, &place)) {
    place = Scaled(place, 2);
    if (Refine(sizes_[0], kMostRounds, &place)) Verify(place, result);
  }
  if (result->correlation > 0.75f && result->agreeing > 0.8f) {
    last_ = result->place;
    return;
  }
  std::array<Candidate, 3> best;
  Search(&best);
  AnchorResult found = *result;
  for (const Candidate& candidate : best) {
    place = candidate.place;
    if (!RefineAll(&place)) continue;
    AnchorResult other;
    Verify(place, &other);
    const float dx = other.place.x_shift - found.place.x_shift, dy = other.place.y_shift - found.place.y_shift;
    const bool is_elsewhere = dx * dx + dy * dy > 16;
    if (other.correlation > found.correlation) {
      other.rival = is_elsewhere ? found.correlation : found.rival;
      found = other;
    } else if (is_elsewhere) {
      found.rival = std::max(found.rival, other.correlation);
    }
  }
  *result = found;
  last_ = found.place;
}

// The three best places of the smallest size, of different turns and zooms or shifts.
void ViewAnchor::Search(std::array<Candidate, 3>* best) {
  const Size& size = sizes_[kSizes - 1];
  const float middle_x = float(size.width) / 2 - 0.5f, middle_y = float(size.height) / 2 - 0.5f;
  const int most_x = int(std::ceil(kShiftShare * float(size.width))),
            most_y = int(std::ceil(kShiftShare * float(size.height)));
  best->fill({Similarity(), -1});
  for (int turn = -2; turn <= 2; ++turn) {
    for (int zoom = -2; zoom <= 2; ++zoom) {
      const float scale = 1 + 0.055f * float(zoom), angle = 2.75f * kDegree * float(turn);
      const float a = scale * std::cos(angle), b = scale * std::sin(angle), inverse = 1 / (scale * scale);
      for (uint32_t y = 0; y < size.height; ++y)
        for (uint32_t x = 0; x < size.width; ++x) {
          const float u = float(x) - middle_x, v = float(y) - middle_y;
          const float from_x = (a * u + b * v) * inverse + middle_x, from_y = (a * v - b * u) * inverse + middle_y;
          turned_[size_t{y} * size.width + x] = IsInside(from_x, from_y, size.width, size.height)
                                                    ? Sample(size.reference.data(), size.width, from_x, from_y)
                                                    : 0;
        }
      Candidate own = {Similarity(), -1};
      for (int dy = -most_y; dy <= most_y; ++dy)
        for (int dx = -most_x; dx <= most_x; ++dx) {
          const float correlation = Overlap(size, turned_.data(), dx, dy);
          if (correlation > own.correlation) own = {{a, b, float(dx), float(dy)}, correlation};
        }
      for (Candidate& kept : *best)
        if (own.correlation > kept.correlation) std::swap(own, kept);
    }
  }
}

// Correlation of the turned reference, shifted by whole pixels, with the picture. Both have mean 0 by nature, and the
// turned one is 0 where it shows nothing.
float ViewAnchor::Overlap(const Size& size, const float* turned, int dx, int dy) const {
  const int width = int(size.width), height = int(size.height);
  const int left = std::max(0, -dx), right = std::min(width, width - dx);
  Four ab = {}, aa = {}, bb = {};
  for (int y = std::max(0, -dy); y < std::min(height, height - dy); ++y) {
    const float *from = turned + y * width, *to = size.picture.data() + (y + dy) * width + dx;
    for (int x = left; x + 4 <= right; x += 4) {
      const Four value = LoadFour(from + x), seen = LoadFour(to + x);
      ab += value * seen, aa += value * value, bb += seen * seen;
    }
  }
  const float known = Sum(aa), other = Sum(bb);
  return known > 0 && other > 0 ? Sum(ab) / std::sqrt(known * other) : -1;
}

bool ViewAnchor::RefineAll(Similarity* place) const {
  for (int i = kSizes - 1; i >= 0; --i) {
    if (!Refine(sizes_[i], i == 0 ? kMostRounds : 8, place)) return false;
    if (i > 0) *place = Scaled(*place, 2);
  }
  return true;
}

// Inverse compositional Gauss-Newton (Baker and Matthews) with residuals weighted as by Geman and McClure. False where
// it runs away or the pictures overlap too little.
bool ViewAnchor::Refine(const Size& size, int rounds, Similarity* place) const {
  const float middle_x = float(size.width) / 2 - 0.5f, middle_y = float(size.height) / 2 - 0.5f;
  for (int round = 0; round < rounds; ++round) {
    double m[4][5] = {};
    size_t used = 0;
    for (const Feature& f : size.features) {
      float x = 0, y = 0;
      Place(*place, f.x, f.y, &x, &y);
      x += middle_x, y += middle_y;
      if (!IsInside(x, y, size.width, size.height)) continue;
      ++used;
      const float residual = Sample(size.picture.data(), size.width, x, y) - f.value;
      const float soft = kRobust * kRobust / (kRobust * kRobust + residual * residual), weight = soft * soft;
      const float j[4] = {f.x_slope * f.x + f.y_slope * f.y, f.y_slope * f.x - f.x_slope * f.y, f.x_slope, f.y_slope};
      for (int r = 0; r < 4; ++r) {
        for (int c = r; c < 4; ++c) m[r][c] += double(weight * j[r] * j[c]);
        m[r][4] += double(weight * j[r] * residual);
      }
    }
    if (used < 30 || used * 5 < size.features.size() * 2) return false;
    for (int r = 1; r < 4; ++r)
      for (int c = 0; c < r; ++c) m[r][c] = m[c][r];
    if (!Solve(m)) return false;
    // place ∘ (1 + d)⁻¹, both as complex numbers: scale and turn are one factor.
    const float da = 1 + float(m[0][4]), db = float(m[1][4]), norm = da * da + db * db;
    const float a = (place->a * da + place->b * db) / norm, b = (place->b * da - place->a * db) / norm;
    const float tx = float(m[2][4]), ty = float(m[3][4]);
    *place = {a, b, place->x_shift - (a * tx - b * ty), place->y_shift - (b * tx + a * ty)};
    const float scale = std::sqrt(a * a + b * b);
    if (!(scale > 0.7f && scale < 1.4f) || std::fabs(b) > 0.35f || std::fabs(place->x_shift) > float(size.width) / 3 ||
        std::fabs(place->y_shift) > float(size.height) / 3)
      return false;
    const float moved = std::fabs(tx) + std::fabs(ty) + (std::fabs(da - 1) + std::fabs(db)) * float(size.width) / 2;
    if (moved < 0.02f) break;
  }
  return true;
}

void ViewAnchor::Verify(const Similarity& place, AnchorResult* result) const {
  const Size& size = sizes_[0];
  const float middle_x = float(size.width) / 2 - 0.5f, middle_y = float(size.height) / 2 - 0.5f;
  Correlation all;
  uint32_t textured = 0, agreeing = 0;
  for (uint32_t block = 0; block < kBlocks * kBlocks; ++block) {
    const uint32_t column = block % kBlocks, line = block / kBlocks;
    const uint32_t right = (column + 1) * size.width / kBlocks, bottom = (line + 1) * size.height / kBlocks;
    Correlation own;
    uint32_t pixels = 0;
    for (uint32_t y = line * size.height / kBlocks; y < bottom; ++y)
      for (uint32_t x = column * size.width / kBlocks; x < right; ++x, ++pixels) {
        float to_x = 0, to_y = 0;
        Place(place, float(x) - middle_x, float(y) - middle_y, &to_x, &to_y);
        to_x += middle_x, to_y += middle_y;
        if (!IsInside(to_x, to_y, size.width, size.height)) continue;
        own.Add(size.reference[size_t{y} * size.width + x], Sample(size.picture.data(), size.width, to_x, to_y));
      }
    if (own.n < 0.6 * pixels || own.aa < kTextured * own.n) continue;
    ++textured;
    all.Add(own);
    if (own.Value() > kAgreeing) ++agreeing;
  }
  result->place = place;
  result->textured = textured;
  result->correlation = all.Value();
  result->agreeing = textured > 0 ? float(agreeing) / float(textured) : 0;
}

}  // namespace gapcam
