// The parameters of each kernel: one plain structure, passed by value, with the same bytes on the host and on the
// device.
//
// Buffers name the memory of a kernel. Until they are bound, their addresses are offsets (../program.h). Kernels do not
// use the sizes; the emulator checks every access against them.
#pragma once
#include <cstdint>

#include "../../kernels/steps.h"

namespace gapcam {
namespace cuda {

struct Buffer {
  uint64_t address;
  uint32_t elements;  // 0: the optional tensor is absent
  // 4: float or int32; 2: half; 1: bytes of a camera's frame. Results of half-precision kernels have 2 or 4.
  uint32_t element_bytes;
};
static_assert(sizeof(Buffer) == 16);

struct Activation {
  Elementwise op;
  float a, b;
};

// Division by a number that is known before the launch: (n · multiplier) >> 32 >> shift, for n < 2^31.
struct Divisor {
  uint32_t value, multiplier, shift;  // multiplier 0: the divisor is 1
};

// A convolution as the product x' [pixels, depth] · weights [depth, features] of each group. x' is never stored: its
// row is (n, oy, ox), its column (ky, kx, c). Weights are packed and zero-padded for the kernel (../lower/conv.cc). A
// matrix product is the case of a 1×1 kernel over `pixels` rows.
struct ConvParams {
  Buffer x, weights, bias, residual;  // residual has y's layout
  Buffer y;                           // [pixels][groups · features]
  Buffer partial;  // float sums [split][pixels][groups · features] if splits > 1; y is then not written
  Buffer pooled;   // [groups · features]: means over the pixels of one image that a single tile covers
  uint32_t pixels, depth, features;  // of a group
  uint32_t packed_depth, packed_features;
  uint32_t groups, splits, depth_per_split;          // the latter a multiple of the tile's depth
  uint32_t height, width, channels, group_channels;  // of x; channels of a pixel, and those of a group
  uint32_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  Divisor by_channels, by_kernel_w, by_out_area, by_out_width;
  Activation activation;
};

// A depthwise window followed by a 1×1 convolution, without storing the window's results. Sizes, strides, pads and
// dilation of `conv` are those of the window; its depth is the number of channels.
struct SeparableParams {
  ConvParams conv;
  Buffer window_weights, window_bias;  // as a depthwise convolution's
  uint32_t kernel_h, kernel_w;
  Activation window_activation;
};

// y = activation(Σ partial[split] + bias + residual)
struct SplitSumParams {
  Buffer partial, bias, residual, y;
  uint32_t elements, features, splits;
  Divisor by_features;
  Activation activation;
};

// A few rows times a matrix, one warp for each result. weights: [features][depth].
struct DenseRowParams {
  Buffer x, weights, bias, residual, y;
  uint32_t rows, depth, features;
  Divisor by_features;
  Activation activation;
};

// y[batch] = activation(x[batch] · z[batch]) with matrices [rows, depth] and [depth, columns]. One block for each tile
// of y.
constexpr uint32_t kProductTile = 32;
struct ProductKernelParams {
  Buffer x, z, y;
  uint32_t rows, depth, columns;
  uint32_t x_step, z_step;  // elements from one batch to the next; 0 if all batches share one matrix
  Divisor by_row_tiles, by_column_tiles;
  Activation activation;
};

struct WindowParams {
  uint32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right, dilation_h, dilation_w;
};

// A window that slides over each channel of [image][height][width][channels]. The result has out_height and out_width.
struct SlideParams {
  WindowParams window;
  uint32_t height, width, channels, out_height, out_width;
  uint32_t threads;  // one for each vector of channels of each result
  Divisor by_vectors, by_out_width, by_out_height;
};

// Depthwise: weights [kernel_h][kernel_w][channels].
struct DepthwiseParams {
  Buffer x, weights, bias, residual, y;
  SlideParams slide;
  Activation activation;
};

struct PoolParams {
  Buffer x, residual, y;
  SlideParams slide;
  Pool op;
  uint32_t count_padding;
};

// Lines of [outer, length, inner] along `length`. A warp takes `inner_lanes` neighbouring lines; the other lanes split
// each.
struct LineParams {
  Buffer x, y;
  uint32_t op;  // Reduce; of softmax `logarithm`; of lpNormalization `p`
  uint32_t outer, length, inner, inner_lanes;
  uint32_t groups_of_lines;  // warps
  Divisor by_inner_groups;
};

struct LrnKernelParams {
  Buffer x, y;
  LrnParams lrn;
  uint32_t elements, channels;
  Divisor by_channels;
};

struct ElementwiseKernelParams {
  Buffer x, y;
  uint32_t elements;
  Activation activation;
};

struct BinaryKernelParams {
  Buffer x, z, y;
  Binary op;
  uint32_t elements;
  Divisor dims[4];                    // of y's inner four dimensions, the innermost first
  uint32_t x_stride[5], z_stride[5];  // the innermost first, 0 where broadcast
  Activation activation;
};

struct CopyKernelParams {
  Buffer x, y;
  Divisor dims[4];  // loops, the innermost first
  int32_t in_stride[5], out_stride[5];
  uint32_t in_offset, out_offset, elements;
};

struct FillParams {
  Buffer y;
  float value;
};

// Up to four neighbouring inputs and outputs of a concatenation in one launch.
constexpr uint32_t kConcatTensors = 4;
struct ConcatKernelParams {
  Buffer inputs[kConcatTensors], outputs[kConcatTensors];
  uint32_t in_first[kConcatTensors + 1], out_first[kConcatTensors + 1];  // positions in the whole row
  uint32_t groups, elements;  // elements: outer · (in_first[last] - in_first[0])
  Divisor by_span, by_group_length;
};

struct ResampleKernelParams {
  Buffer x, indices, weights, y;  // indices int32, weights float
  uint32_t in_length, out_length, taps, inner, elements;
  Divisor by_inner, by_out_length;
};

// Conversion between the host's floats and the network's element type.
struct ConvertParams {
  Buffer x, y;
  uint32_t elements;
};

// Conversion of a camera's frame to the network's input, with the same bits as native/image/rows.cc. Output pixel (x,
// y) shows pixel (u, v) of the resized picture: u = u0 + x · u_x + y · u_y, and v likewise. This covers rotation, flips
// and offsets.
struct PixelParams {
  Buffer frame, taps, y;    // taps: 4 int16 each (low, high, weight, 0), first of the columns, then of the rows
  uint32_t format;          // PixelFormat of native/image/pixels.h
  uint32_t height, stride;  // of the frame
  uint32_t crop_x, crop_y, inner_width, inner_height;
  int32_t u0, u_x, u_y, v0, v_x, v_y;
  uint32_t is_nchw, is_bgr, pixels;    // of the output
  Divisor by_width;                    // of the output
  float scale[3], offset[3], fill[3];  // by channel of the output; fill is the value of the letterbox
};

}  // namespace cuda
}  // namespace gapcam
