/* See resample.h. */
#include "voice/resample.h"

#include <math.h>
#include <stdlib.h>

#include "shm/atomics.h"

static uint32_t gcd(uint32_t a, uint32_t b) { return b ? gcd(b, a % b) : a; }

static double bessel_i0(double x) {
  double sum = 1, term = 1;
  for (int k = 1; k < 40; k++) {
    term *= (x / (2 * k)) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

/* Row p holds the filter for an output that lies p/up of an input frame after the newest input but NR_TAPS/2. */
static void design(nr_resampler *r) {
  const double beta = 9.0, half = NR_TAPS / 2.0;
  double cutoff = (r->up < r->down ? (double)r->up / r->down : 1.0) * 0.94;
  for (uint32_t p = 0; p < r->up; p++) {
    double sum = 0, fraction = (double)p / r->up;
    float *h = r->phases + (size_t)p * NR_TAPS;
    for (int k = 0; k < NR_TAPS; k++) {
      double t = k - (half - 1) - fraction, u = t / half;
      double sinc = t == 0 ? cutoff : sin(M_PI * cutoff * t) / (M_PI * t);
      double value = fabs(u) < 1 ? sinc * bessel_i0(beta * sqrt(1 - u * u)) / bessel_i0(beta) : 0;
      h[k] = (float)value;
      sum += value;
    }
    for (int k = 0; k < NR_TAPS; k++) h[k] = (float)(h[k] / sum);
  }
}

nr_resampler *nr_resampler_new(uint32_t in_rate_hz, uint32_t out_rate_hz) {
  nr_resampler *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  uint32_t common = gcd(in_rate_hz, out_rate_hz);
  r->up = out_rate_hz / common;
  r->down = in_rate_hz / common;
  r->phases = malloc((size_t)r->up * NR_TAPS * sizeof(float));
  if (!r->phases) { free(r); return NULL; }
  design(r);
  return r;
}

void nr_resampler_free(nr_resampler *r) {
  if (r) free(r->phases);
  free(r);
}

uint32_t nr_resample(nr_resampler *r, const float *in, uint32_t n, float *out) {
  uint32_t made = 0;
  for (uint32_t i = 0; i < n; i++) {
    for (int c = 0; c < 2; c++) r->window[2 * r->at + c] = r->window[2 * (r->at + NR_TAPS) + c] = in[2 * i + c];
    r->at = (r->at + 1) % NR_TAPS;
    r->taken++;
    const float *oldest = r->window + 2 * r->at;
    /* output m lies at input time m * down / up */
    while (r->made * r->down < r->taken * r->up) {
      const float *h = r->phases + (size_t)((r->made * r->down) % r->up) * NR_TAPS;
      float left = 0, right = 0;
      for (int k = 0; k < NR_TAPS; k++) {
        left += h[k] * oldest[2 * k];
        right += h[k] * oldest[2 * k + 1];
      }
      out[2 * made] = left;
      out[2 * made + 1] = right;
      made++;
      r->made++;
    }
  }
  return made;
}
