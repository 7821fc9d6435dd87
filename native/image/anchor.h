// Where a view lies against another of the same scene: shift, turn and zoom between two small grey pictures.
//
//   levels ─▶ local contrast (does not depend on the light) ─▶ three sizes
//   coarse: all turns and zooms of the reference over all shifts ─▶ fine: Gauss-Newton from size to size ─▶ verified
//
// The last place is tried before the search. All memory is taken with the object.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "contrast.h"

namespace gapcam {

// Place p of the reference is seen at scale · (turned p) + shift, both from the middle of the picture in pixels of it:
//   x' = a x - b y + x_shift,  y' = b x + a y + y_shift
struct Similarity {
  float a = 1, b = 0, x_shift = 0, y_shift = 0;
};

struct AnchorResult {
  Similarity place;
  float correlation = 0;  // of the local contrast, over the textured parts; 1 for the same picture
  float agreeing = 0;     // share of the textured blocks that show the same in both pictures
  float rival = 0;        // correlation of the best place elsewhere; near `correlation` for a pattern that repeats
  uint32_t textured = 0;  // blocks of the reference with something to compare that the picture shows too
};

class ViewAnchor {
 public:
  // Sides of the pictures, 32 to 256 each.
  ViewAnchor(uint32_t width, uint32_t height);

  // Takes the view to compare with: width · height levels.
  void SetReference(const float* levels);

  // Finds the reference's view in another picture of the same size.
  void Locate(const float* levels, AnchorResult* result);

 private:
  static constexpr int kSizes = 3;
  struct Feature {
    float x, y, value, x_slope, y_slope;  // x and y from the middle
  };
  struct Size {
    uint32_t width = 0, height = 0;
    std::vector<float> levels, reference, picture;  // the latter two: local contrast
    std::vector<Feature> features;
  };
  struct Candidate {
    Similarity place;
    float correlation;
  };

  void Describe(const float* levels, std::vector<float> Size::* to);
  void PickFeatures(Size* size);
  void Search(std::array<Candidate, 3>* best);
  float Overlap(const Size& size, const float* turned, int dx, int dy) const;
  bool Refine(const Size& size, int rounds, Similarity* place) const;
  bool RefineAll(Similarity* place) const;
  void Verify(const Similarity& place, AnchorResult* result) const;

  Size sizes_[kSizes];
  LocalContrast contrast_;
  std::vector<float> turned_;
  Similarity last_;
};

}  // namespace gapcam
