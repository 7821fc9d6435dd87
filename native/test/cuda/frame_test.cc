// Emulated conversion of a camera's frame against the CPU's pixel pass: every format, resize mode and rotation, odd
// sizes.
#include <cmath>
#include <cstring>

#include "../../cuda/emulator/emulator.h"
#include "../../cuda/frame.h"
#include "../check.h"
#include "../random.h"

namespace gapcam_test {
namespace {

using namespace gapcam::cuda;
using gapcam::PixelFormat;

gapcam::PixelSpec DrawSpec(Random& random) {
  gapcam::PixelSpec spec;
  spec.width = random.Between(1, 70), spec.height = random.Between(1, 70);
  spec.is_nchw = random.Chance(50), spec.is_bgr = random.Chance(50);
  spec.resize = static_cast<gapcam::ResizeMode>(random.Between(0, 2));
  spec.rotate = 90 * random.Between(0, 3), spec.flip_x = random.Chance(30), spec.flip_y = random.Chance(30);
  for (int i = 0; i < 3; ++i)
    spec.mean[i] = 120 + 20 * random.Float(), spec.std[i] = 60 + 5 * random.Float(),
    spec.fill[i] = static_cast<uint8_t>(random.Between(0, 255));
  if (random.Chance(50)) {
    const double roi[] = {0.25 + 0.2 * random.Float(), 0.25 + 0.2 * random.Float(), 0.3 + 0.2 * random.Float(),
                          0.3 + 0.2 * random.Float()};
    std::memcpy(spec.roi, roi, sizeof(roi));
  }
  return spec;
}

void CheckFormat(PixelFormat format) {
  Random random(40 + static_cast<uint64_t>(format));
  for (int round = 0; round < 40; ++round) {
    const gapcam::PixelSpec spec = DrawSpec(random);
    gapcam::PixelSource source;
    source.format = format, source.width = random.Between(1, 150), source.height = random.Between(1, 120);
    source.stride = gapcam::PixelRowBytes(format, source.width) + random.Between(0, 9);
    std::vector<uint8_t> frame(gapcam::PixelBytes(format, source.stride, source.height));
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random.Next());
    source.data = frame.data(), source.bytes = frame.size();
    std::vector<float> want(spec.width * spec.height * 3);
    gapcam::Status status = gapcam::PixelPass(spec).Run(source, want.data());
    EXPECT(status.ok(), "%s", status.message());
    FrameLaunch launch;
    status = FrameLaunch::Build(spec, source, &launch);
    EXPECT(status.ok(), "%s", status.message());
    std::vector<float> got(want.size(), NAN);
    launch.params.frame.address = reinterpret_cast<uint64_t>(frame.data());
    launch.params.taps.address = reinterpret_cast<uint64_t>(launch.taps.data());
    launch.params.y.address = reinterpret_cast<uint64_t>(got.data());
    emulator::AddRegion(frame.data(), frame.size());
    emulator::AddRegion(launch.taps.data(), launch.taps.size() * 2);
    emulator::AddRegion(got.data(), got.size() * 4);
    status = emulator::RunLaunch(launch.kernel, {launch.blocks, 1, 1}, {launch.threads, 1, 1}, &launch.params,
                                 sizeof(launch.params));
    for (const void* region : {static_cast<const void*>(frame.data()), static_cast<const void*>(launch.taps.data()),
                               static_cast<const void*>(got.data())})
      emulator::RemoveRegion(region);
    EXPECT(status.ok(), "%s", status.message());
    for (size_t i = 0; i < want.size(); ++i) {
      if (got[i] == want[i]) continue;
      Fail(__FILE__, __LINE__, "round %d, %u x %u from %u x %u: element %zu is %.9g, not %.9g", round, spec.width,
           spec.height, source.width, source.height, i, got[i], want[i]);
      return;
    }
  }
}

}  // namespace

TEST("CUDA: a frame in YUYV or UYVY becomes the same input as on the CPU") {
  CheckFormat(PixelFormat::kYuyv), CheckFormat(PixelFormat::kUyvy);
}
TEST("CUDA: a frame in NV12 or I420 becomes the same input as on the CPU") {
  CheckFormat(PixelFormat::kNv12), CheckFormat(PixelFormat::kI420);
}
TEST("CUDA: a frame in RGB, BGR or grey becomes the same input as on the CPU") {
  CheckFormat(PixelFormat::kRgb24), CheckFormat(PixelFormat::kBgr24), CheckFormat(PixelFormat::kGrey);
}

TEST("CUDA: a frame that the CPU refuses is refused") {
  gapcam::PixelSpec spec;
  spec.width = spec.height = 8;
  gapcam::PixelSource source;
  source.width = source.height = 4, source.stride = 12, source.bytes = 47;
  FrameLaunch launch;
  const gapcam::Status status = FrameLaunch::Build(spec, source, &launch);
  EXPECT(std::strcmp(status.code(), "FRAME_INVALID") == 0, "accepted, or refused with \"%s\"", status.message());
}

}  // namespace gapcam_test
