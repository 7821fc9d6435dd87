// The one pixel path: from a camera's bytes to the network's input (or to plain RGB) in one pass over the source rows.
//
//   source rows ─▶ RGB lines ─▶ two of them mixed ─▶ resampled ─▶ normalised ─▶ output, rotated and flipped
//
// Each source row is read once and in order, since a driver's buffers may not be cached. All memory is taken when the
// geometry is known; a frame of the same geometry allocates nothing.
#pragma once
#include <cstdint>
#include <vector>

#include "../status.h"

namespace gapcam {

enum class PixelFormat : uint32_t { kYuyv, kUyvy, kNv12, kI420, kRgb24, kBgr24, kGrey };
enum class ResizeMode : uint32_t { kCover, kStretch, kContain };

// Where a picture's bytes lie. stride: bytes from row to row of the first plane; planes follow one another.
struct PixelSource {
  PixelFormat format = PixelFormat::kRgb24;
  uint32_t width = 0, height = 0, stride = 0;
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
};

// How a byte stands for a value: value = scale · (byte - zero).
struct ByteCode {
  float scale = 1;
  int32_t zero = 0;
  bool is_signed = false;  // int8
};

struct PixelSpec {
  uint32_t width = 0, height = 0;  // of the output
  bool is_nchw = false;
  bool is_bytes = false;  // bytes instead of normalised float32: uint8 levels, or normalised values in a code
  bool has_code = false;
  ByteCode code;
  bool is_bgr = false;        // order of the output's channels
  float mean[3] = {0, 0, 0};  // in levels, by output channel
  float std[3] = {1, 1, 1};
  ResizeMode resize = ResizeMode::kCover;
  double roi[4] = {0, 0, 1, 1};         // x, y, width, height as shares of the frame
  bool flip_x = false, flip_y = false;  // after the rotation
  uint32_t rotate = 0;                  // degrees clockwise: 0, 90, 180, 270
  uint8_t fill[3] = {0, 0, 0};          // RGB around a contained picture
  std::vector<double> polygon;          // corners x y x y … as shares of the frame; empty: no mask
  float mask_fill[3] = {0, 0, 0};       // RGB levels of what lies outside the polygon
};

namespace cuda {
struct FrameLaunch;
}

class PixelPass {
 public:
  explicit PixelPass(const PixelSpec& spec);

  const PixelSpec& spec() const { return spec_; }

  // Writes width·height·3 elements to `out`. FRAME_INVALID when the source holds fewer bytes than its sizes need.
  Status Run(const PixelSource& source, void* out);

  // FRAME_INVALID for a source that Run would refuse; its bytes are not read.
  Status Check(const PixelSource& source) const;

  // Source rectangle [x, y, width, height] that the output shows, for a frame of this size; fractions of the frame.
  void Shown(uint32_t width, uint32_t height, double* rectangle) const;

 private:
  friend struct cuda::FrameLaunch;  // the same tables for the GPU's pass

  struct Box {
    uint32_t x, y, width, height;
  };

  // What a painted pixel of the output is, by channel: as values or as bytes.
  struct Paint {
    float values[3];
    uint8_t bytes[3];
  };

  Box Crop(uint32_t width, uint32_t height) const;
  void Configure(const PixelSource& source);
  void TabulateMask();
  Paint PaintOf(const float* rgb) const;
  void FillSpan(int64_t v, int64_t begin, int64_t end, const Paint& paint, void* out) const;
  void FillOutside(void* out) const;
  void FillMasked(uint32_t v, const Paint& paint, void* out) const;
  const int16_t* Line(const PixelSource& source, uint32_t y);
  uint8_t ByteOf(int channel, float level) const;
  void WriteRow(uint32_t v, const int16_t* line, void* out) const;

  PixelSpec spec_;
  std::vector<uint8_t> bytes_;  // of all levels, for a spec of bytes; see TabulateLevels
  PixelSource known_;           // the geometry that the tables are for
  Box crop_ = {};
  uint32_t inner_width_ = 0, inner_height_ = 0;  // of the resampled picture, in the source's orientation
  uint32_t left_ = 0, top_ = 0;                  // of it within the letterbox
  int64_t origin_ = 0, across_ = 0, down_ = 0;   // output pixel index = origin + u·across + v·down
  // Where the samples come from: rows by number, columns by place in a line, and the second's weight (a column's four
  // times over).
  std::vector<uint32_t> upper_, lower_, first_, second_;
  std::vector<int16_t> row_weights_, column_weights_;
  std::vector<int16_t> lines_[2], mixed_;  // of the crop's width
  const int16_t* line_at_[2] = {nullptr, nullptr};
  int64_t line_y_[2] = {-1, -1};
  // Pixels [begin, end) of a resampled row that lie outside the polygon, row by row; row v has those from masked_from_[v]
  // on. Empty without a polygon.
  struct Span {
    uint32_t begin, end;
  };
  std::vector<Span> masked_;
  std::vector<uint32_t> masked_from_;
};

// Bytes that a picture of this format needs, and the least stride of a row.
uint64_t PixelBytes(PixelFormat format, uint32_t stride, uint32_t height);
uint32_t PixelRowBytes(PixelFormat format, uint32_t width);

}  // namespace gapcam
