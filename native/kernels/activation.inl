// Element-wise functions on vectors, and the activation at the end of other kernels. exp, log and the others are
// polynomials in single precision after Cephes (S. Moshier), accurate to about 2 ulp over their range.
namespace gapcam {
namespace {

#if !defined(GAPCAM_TARGET_HALF)
// exp(x): 0 below -88, infinity above 88.72284.
GAPCAM_INLINE V Exp(V x) {
  const V clamped = Min(Set(88.72284f), Max(Set(-88.0f), x));
  const V n = Floor(clamped * Set(1.44269504088896341f) + Set(0.5f));
  const V r = (clamped - n * Set(0.693359375f)) - n * Set(-2.12194440e-4f);
  V p = Set(1.9875691500e-4f);
  p = p * r + Set(1.3981999507e-3f);
  p = p * r + Set(8.3334519073e-3f);
  p = p * r + Set(4.1665795894e-2f);
  p = p * r + Set(1.6666665459e-1f);
  p = p * r + Set(5.0000001201e-1f);
  p = p * (r * r) + r + Set(1.0f);
  // Two factors, because one exponent would overflow at n = 128.
  const VI whole = ToInt(n);
  const VI half = whole >> 1;
  const V scaled = p * FromBits((half + 127) << 23) * FromBits((whole - half + 127) << 23);
  const V bounded = Select(x > Set(88.72284f), Set(__builtin_inff()), scaled);
  return Select(x < Set(-88.0f), Zero(), bounded);
}

// exp(x) for a term that is added to at least 1, in half the instructions: never less than 2^-125, infinity from 88.4
// on. A NaN propagates.
GAPCAM_INLINE V BoundedExp(V x) {
  const V clamped = Min(Set(89.0f), Max(Set(-87.0f), x));
  // 1.5 · 2^23 + 127: the lowest bits of the sum are the nearest whole number as a biased exponent.
  const V shifted = clamped * Set(1.44269504088896341f) + Set(12583039.0f);
  const V n = shifted - Set(12583039.0f);
  const V r = (clamped - n * Set(0.693359375f)) - n * Set(-2.12194440e-4f);
  V p = Set(1.9875691500e-4f);
  p = p * r + Set(1.3981999507e-3f);
  p = p * r + Set(8.3334519073e-3f);
  p = p * r + Set(4.1665795894e-2f);
  p = p * r + Set(1.6666665459e-1f);
  p = p * r + Set(5.0000001201e-1f);
  p = p * (r * r) + r + Set(1.0f);
  return p * FromBits(Bits(shifted) << 23);
}

// The natural logarithm: -infinity at 0, NaN below.
GAPCAM_INLINE V Log(V x) {
  const VI bits = Bits(x);
  const VI exponent = ((bits >> 23) & 255) - 126;
  const V mantissa = FromBits((bits & 0x007fffff) | 0x3f000000);  // [0.5, 1)
  const VI small = mantissa < Set(0.707106781186547524f);
  const V e = ToFloat(exponent) - Select(small, Set(1.0f), Zero());
  const V m = mantissa + Select(small, mantissa, Zero()) - Set(1.0f);
  const V z = m * m;
  V p = Set(7.0376836292e-2f);
  p = p * m + Set(-1.1514610310e-1f);
  p = p * m + Set(1.1676998740e-1f);
  p = p * m + Set(-1.2420140846e-1f);
  p = p * m + Set(1.4249322787e-1f);
  p = p * m + Set(-1.6668057665e-1f);
  p = p * m + Set(2.0000714765e-1f);
  p = p * m + Set(-2.4999993993e-1f);
  p = p * m + Set(3.3333331174e-1f);
  const V y = p * m * z + e * Set(-2.12194440e-4f) - Set(0.5f) * z;
  V result = m + y + e * Set(0.693359375f);
  result = Select(x == Set(__builtin_inff()), x, result);
  result = Select(x == Zero(), Set(-__builtin_inff()), result);
  return Select((x < Zero()) | (x != x), Set(__builtin_nanf("")), result);
}

GAPCAM_INLINE V Sigmoid(V x) { return Set(1.0f) / (Set(1.0f) + BoundedExp(-x)); }

GAPCAM_INLINE V Tanh(V x) {
  const V z = x * x;
  V p = Set(-5.70498872745e-3f);
  p = p * z + Set(2.06390887954e-2f);
  p = p * z + Set(-5.37397155531e-2f);
  p = p * z + Set(1.33314422036e-1f);
  p = p * z + Set(-3.33332819422e-1f);
  const V near = p * z * x + x;
  const V far = Set(1.0f) - Set(2.0f) / (BoundedExp(x + x) + Set(1.0f));
  return Select(Abs(x) < Set(0.625f), near, far);
}

// Abramowitz and Stegun 7.1.26 for |x| >= 0.5, the Maclaurin series below.
GAPCAM_INLINE V Erf(V x) {
  const V z = x * x;
  V p = Set(-0.00075757576f);
  p = p * z + Set(0.0046296296f);
  p = p * z + Set(-0.023809524f);
  p = p * z + Set(0.1f);
  p = p * z + Set(-0.33333333f);
  const V near = Set(1.1283791671f) * (p * z * x + x);
  const V a = Abs(x);
  const V t = Set(1.0f) / (Set(1.0f) + Set(0.3275911f) * a);
  V q = Set(1.061405429f);
  q = q * t + Set(-1.453152027f);
  q = q * t + Set(1.421413741f);
  q = q * t + Set(-0.284496736f);
  q = q * t + Set(0.254829592f);
  const V far = Set(1.0f) - q * t * Exp(-z);
  const V signed_far = Select(x < Zero(), -far, far);
  return Select(a < Set(0.5f), near, signed_far);
}

GAPCAM_INLINE V Softplus(V x) { return Max(Zero(), x) + Log(Set(1.0f) + Exp(-Abs(x))); }

GAPCAM_INLINE V Power(V x, float exponent) {
  V y = x;
  for (int i = 0; i < kLanes; ++i) y[i] = __builtin_powf(x[i], exponent);
  return y;
}
#endif

// How an activation is computed. relu and clip are bounds; hard swish is frequent enough for its own inlined code.
enum class ActivationForm { kNone, kBounds, kHardSwish, kFunction };

// An activation with its parameters, ready for the kernels.
struct Activation {
  Elementwise op;
  float a, b;
  float low, high;
  ActivationForm form;
};

GAPCAM_INLINE Activation MakeActivation(Elementwise op, float a, float b) {
  Activation act = {op, a, b, -__builtin_inff(), __builtin_inff(), ActivationForm::kBounds};
  if (op == Elementwise::kRelu)
    act.low = 0;
  else if (op == Elementwise::kClip)
    act.low = a, act.high = b;
  else if (op == Elementwise::kHardSwish)
    act.form = ActivationForm::kHardSwish;
  else
    act.form = op == Elementwise::kNone ? ActivationForm::kNone : ActivationForm::kFunction;
  return act;
}

GAPCAM_INLINE V HardSwish(V x) { return x * Min(Set(1.0f), Max(Zero(), x * Set(1.0f / 6) + Set(0.5f))); }

#if defined(GAPCAM_TARGET_HALF)
// Plans in half precision have no other activations: the compiler leaves those in single precision.
GAPCAM_INLINE V ApplyFunction(const Activation&, V x) { return x; }
#else
// Any function, one vector at a time; the formulas are those of elementwiseOps in src/model/steps.ts.
static __attribute__((noinline)) V ApplyFunction(const Activation& act, V x) {
  const V a = Set(act.a), b = Set(act.b);
  switch (act.op) {
    case Elementwise::kNone: return x;
    case Elementwise::kRelu: return Max(Zero(), x);
    case Elementwise::kClip: return Min(b, Max(a, x));
    case Elementwise::kLeakyRelu: return Select(x < Zero(), a * x, x);
    case Elementwise::kSigmoid: return Sigmoid(x);
    case Elementwise::kHardSigmoid: return Min(Set(1.0f), Max(Zero(), a * x + b));
    case Elementwise::kHardSwish: return HardSwish(x);
    case Elementwise::kTanh: return Tanh(x);
    case Elementwise::kElu: return Select(x < Zero(), a * (Exp(x) - Set(1.0f)), x);
    case Elementwise::kSilu: return x * Sigmoid(x);
    case Elementwise::kGelu: return Set(0.5f) * x * (Set(1.0f) + Erf(x * Set(0.70710678118f)));
    case Elementwise::kGeluTanh:
      return Set(0.5f) * x * (Set(1.0f) + Tanh(Set(0.7978845608f) * (x + Set(0.044715f) * x * x * x)));
    case Elementwise::kSoftplus: return Softplus(x);
    case Elementwise::kExp: return Exp(x);
    case Elementwise::kSqrt: return Sqrt(x);
    case Elementwise::kErf: return Erf(x);
    case Elementwise::kLog: return Log(x);
    case Elementwise::kAbs: return Abs(x);
    case Elementwise::kNeg: return -x;
    case Elementwise::kReciprocal: return Set(1.0f) / x;
    case Elementwise::kFloor: return Floor(x);
    case Elementwise::kCeil: return -Floor(-x);
    case Elementwise::kAffine: return a * x + b;
    case Elementwise::kPower: return Power(x, act.a);
    case Elementwise::kSelu: return b * Select(x < Zero(), a * (Exp(x) - Set(1.0f)), x);
    case Elementwise::kSoftsign: return x / (Set(1.0f) + Abs(x));
  }
  return x;
}
#endif

// Applies an activation to one vector.
GAPCAM_INLINE V Activate(const Activation& act, V x) {
  switch (act.form) {
    case ActivationForm::kNone: return x;
    case ActivationForm::kBounds: return Min(Set(act.high), Max(Set(act.low), x));
    case ActivationForm::kHardSwish: return HardSwish(x);
    case ActivationForm::kFunction: break;
  }
  return ApplyFunction(act, x);
}

#if defined(GAPCAM_TARGET_HALF)
// Applies an activation to sums in single precision.
GAPCAM_INLINE float32x4_t ActivateSingle(const Activation& act, float32x4_t x) {
  if (act.form == ActivationForm::kBounds) return vminq_f32(vdupq_n_f32(act.high), vmaxq_f32(vdupq_n_f32(act.low), x));
  if (act.form != ActivationForm::kHardSwish) return x;
  const float32x4_t gate = x * vdupq_n_f32(1.0f / 6) + vdupq_n_f32(0.5f);
  return x * vminq_f32(vdupq_n_f32(1), vmaxq_f32(vdupq_n_f32(0), gate));
}
GAPCAM_INLINE Wide WideActivate(const Activation& act, Wide x) {
  return {ActivateSingle(act, x.low), ActivateSingle(act, x.high)};
}
#endif

// Applies `function` to every vector of an array of one or two dimensions.
template <class Function, int kCount>
GAPCAM_INLINE void ForAll(V (&x)[kCount], Function function) {
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) x[i] = function(x[i]);
}

template <class Function, int kRows, int kCount>
GAPCAM_INLINE void ForAll(V (&x)[kRows][kCount], Function function) {
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) ForAll(x[i], function);
}

// Applies an activation to an array of vectors in registers. The form is tested once for all of them.
template <class Vectors>
GAPCAM_INLINE void ActivateAll(const Activation& act, Vectors& x) {
  if (act.form == ActivationForm::kNone) return;
  if (__builtin_expect(act.form == ActivationForm::kBounds, true)) {
    const V low = Set(act.low), high = Set(act.high);
    ForAll(x, [&](V value) __attribute__((always_inline)) { return Min(high, Max(low, value)); });
  } else if (act.form == ActivationForm::kHardSwish) {
    ForAll(x, [](V value) __attribute__((always_inline)) { return HardSwish(value); });
  } else {
    ForAll(x, [&](V value) __attribute__((always_inline)) { return ApplyFunction(act, value); });
  }
}

}  // namespace
}  // namespace gapcam
