// The place of a view against drawn moves, and grids of cells, over odd sizes. Sanitizers watch for accesses beside the
// pixels.
#include "../image/anchor.h"

#include <cmath>
#include <vector>

#include "../image/grid.h"
#include "check.h"
#include "random.h"

namespace gapcam_test {
namespace {

// A scene without end: soft blots of many sizes.
struct Scene {
  struct Blot {
    float x, y, radius, level;
  };
  std::vector<Blot> blots;

  explicit Scene(Random* random) {
    for (int i = 0; i < 500; ++i) {
      blots.push_back({random->Float() * 1.2f, random->Float() * 1.2f, 0.01f + 0.04f * std::fabs(random->Float()),
                       60 * random->Float()});
    }
  }
  // x and y from the middle, in widths.
  float At(float x, float y) const {
    float level = 120;
    for (const Blot& b : blots) {
      const float d = ((x - b.x) * (x - b.x) + (y - b.y) * (y - b.y)) / (b.radius * b.radius);
      if (d < 9) level += b.level * std::exp(-d);
    }
    return level;
  }
};

// The scene as it is seen at a place, under other light.
std::vector<float> Draw(const Scene& scene, uint32_t width, uint32_t height, const gapcam::Similarity& s, float gain) {
  std::vector<float> levels(size_t{width} * height);
  const float norm = s.a * s.a + s.b * s.b;
  for (uint32_t i = 0; i < levels.size(); ++i) {
    const float x = float(i % width) + 0.5f - float(width) / 2 - s.x_shift,
                y = float(i / width) + 0.5f - float(height) / 2 - s.y_shift;
    levels[i] = gain * scene.At((s.a * x + s.b * y) / norm / float(width), (s.a * y - s.b * x) / norm / float(width));
  }
  return levels;
}

}  // namespace

TEST("a view that was shifted, turned and zoomed is found within half a pixel, in other light") {
  Random random(11);
  for (int i = 0; i < 6; ++i) {
    const Scene scene(&random);
    const uint32_t width = random.Between(120, 200), height = random.Between(90, 160);
    gapcam::ViewAnchor anchor(width, height);
    anchor.SetReference(Draw(scene, width, height, {}, 1).data());
    const float zoom = 1 + 0.1f * random.Float(), angle = 0.087f * random.Float();
    const gapcam::Similarity truth = {zoom * std::cos(angle), zoom * std::sin(angle),
                                      0.1f * float(width) * random.Float(), 0.1f * float(height) * random.Float()};
    gapcam::AnchorResult found;
    anchor.Locate(Draw(scene, width, height, truth, 0.6f).data(), &found);
    const gapcam::Similarity& p = found.place;
    EXPECT(std::fabs(p.x_shift - truth.x_shift) < 0.5f && std::fabs(p.y_shift - truth.y_shift) < 0.5f,
           "shift %g, %g for %g, %g", p.x_shift, p.y_shift, truth.x_shift, truth.y_shift);
    EXPECT(std::fabs(p.a - truth.a) < 0.005f && std::fabs(p.b - truth.b) < 0.005f, "factor %g, %g for %g, %g", p.a, p.b,
           truth.a, truth.b);
    EXPECT(found.correlation > 0.8f && found.agreeing > 0.8f, "correlation %g, agreeing %g", found.correlation,
           found.agreeing);
  }
}

TEST("views of any size and content have finite places, and a flat one has no textured block") {
  Random random(12);
  for (int i = 0; i < 30; ++i) {
    const uint32_t width = random.Between(32, 256), height = random.Between(32, 256);
    std::vector<float> reference(size_t{width} * height), picture(reference.size());
    for (float& level : reference) level = i % 3 == 0 ? 40.f : float(random.Between(0, 255));
    for (float& level : picture) level = i % 2 == 0 ? 90.f : float(random.Between(0, 255));
    gapcam::ViewAnchor anchor(width, height);
    anchor.SetReference(reference.data());
    gapcam::AnchorResult found;
    for (int look = 0; look < 2; ++look) anchor.Locate(picture.data(), &found);
    const gapcam::Similarity& p = found.place;
    EXPECT(std::isfinite(p.a) && std::isfinite(p.b) && std::isfinite(p.x_shift) && std::isfinite(p.y_shift),
           "place %g %g %g %g", p.a, p.b, p.x_shift, p.y_shift);
    if (i % 3 == 0) EXPECT(found.textured == 0, "%u textured blocks", found.textured);
  }
}

TEST("a grid reads only the frame's bytes, whatever part and size it has") {
  Random random(13);
  for (int i = 0; i < 200; ++i) {
    gapcam::PixelSource source;
    source.format = static_cast<gapcam::PixelFormat>(random.Between(0, 6));
    source.width = random.Between(1, 70), source.height = random.Between(1, 50);
    source.stride = gapcam::PixelRowBytes(source.format, source.width) + random.Between(0, 5);
    const std::vector<uint8_t> bytes(gapcam::PixelBytes(source.format, source.stride, source.height), 7);
    source.data = bytes.data(), source.bytes = bytes.size();
    gapcam::GridSpec spec;
    spec.columns = random.Between(1, 40), spec.rows = random.Between(1, 40), spec.samples = random.Between(1, 6);
    for (double& share : spec.part) share = std::fabs(random.Float());
    std::vector<float> cells(size_t{spec.columns} * spec.rows);
    EXPECT(gapcam::MeasureGrid(source, spec, cells.data()).ok(), "refused");
    for (float cell : cells) EXPECT(std::fabs(cell - 7) < 0.01f, "a cell of %g", cell);
  }
}

}  // namespace gapcam_test
