// Warp operations. Each computes once for all lanes, when the last lane has arrived (block.h).
#include "device.h"

namespace gapcam {
namespace cuda {
namespace {

using emulator::kWarpThreads;

struct Shuffle {
  float value, result;
  int mask;
};

void ActShuffle(void* const (&lanes)[kWarpThreads]) {
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    auto* mine = static_cast<Shuffle*>(lanes[lane]);
    const uint32_t from = lane ^ static_cast<uint32_t>(mine->mask);
    mine->result = from < kWarpThreads ? static_cast<const Shuffle*>(lanes[from])->value : mine->value;
  }
}

void ActAny(void* const (&lanes)[kWarpThreads]) {
  bool any = false;
  for (void* lane : lanes) any |= *static_cast<bool*>(lane);
  for (void* lane : lanes) *static_cast<bool*>(lane) = any;
}

// d [rows][16 or 8] += a [16][16] · b [columns][16], in single precision.
template <int kColumns>
void Multiply(const float (&a)[16][16], const float (&b)[16][kColumns], float (&d)[16][kColumns]) {
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < kColumns; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
}

struct Mma {
  float* d;
  const uint32_t *a, *b;
};

float Low(uint32_t pair) { return HalfToFloat(static_cast<uint16_t>(pair)); }
float High(uint32_t pair) { return HalfToFloat(static_cast<uint16_t>(pair >> 16)); }

// PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type".
void ActMma(void* const (&lanes)[kWarpThreads]) {
  float a[16][16], b[16][8], d[16][8];
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    const Mma& mine = *static_cast<const Mma*>(lanes[lane]);
    const uint32_t group = lane / 4, pair = lane % 4 * 2;
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t row = group + i % 2 * 8, column = pair + i / 2 * 8;
      a[row][column] = Low(mine.a[i]), a[row][column + 1] = High(mine.a[i]);
    }
    for (uint32_t i = 0; i < 2; ++i)
      b[pair + i * 8][group] = Low(mine.b[i]), b[pair + i * 8 + 1][group] = High(mine.b[i]);
    for (uint32_t i = 0; i < 4; ++i) d[group + i / 2 * 8][pair + i % 2] = mine.d[i];
  }
  Multiply(a, b, d);
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    const Mma& mine = *static_cast<const Mma*>(lanes[lane]);
    for (uint32_t i = 0; i < 4; ++i) mine.d[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
}

struct Wmma {
  WmmaSums* sums;
  const WmmaA* a;
  const WmmaB* b;
};

void ActWmma(void* const (&lanes)[kWarpThreads]) {
  float a[16][16], b[16][16], d[16][16];
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    const Wmma& mine = *static_cast<const Wmma*>(lanes[lane]);
    for (uint32_t i = 0; i < 8; ++i) {
      const uint32_t line = lane / 2, place = lane % 2 * 8 + i;
      a[line][place] = ToFloat(mine.a->x[i]);
      b[place][line] = ToFloat(mine.b->x[i]);
      d[line][place] = mine.sums->x[i];
    }
  }
  Multiply(a, b, d);
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    for (uint32_t i = 0; i < 8; ++i) static_cast<const Wmma*>(lanes[lane])->sums->x[i] = d[lane / 2][lane % 2 * 8 + i];
  }
}

}  // namespace

float ShuffleXor(float value, int mask) {
  Shuffle mine = {value, 0, mask};
  emulator::WarpMeet(ActShuffle, &mine);
  return mine.result;
}

bool WarpAny(bool value) {
  emulator::WarpMeet(ActAny, &value);
  return value;
}

void MmaHalf(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Mma mine = {d, a, b};
  emulator::WarpMeet(ActMma, &mine);
}

void WmmaMultiply(WmmaSums& sums, const WmmaA& a, const WmmaB& b) {
  Wmma mine = {&sums, &a, &b};
  emulator::WarpMeet(ActWmma, &mine);
}

}  // namespace cuda
}  // namespace gapcam
