/* Output stage: DC blocker, loudness match and level, limiter. See voice.h for the contract. */
#include <math.h>

#include "voice/voice.h"

static const float CEILING = 0.966f; /* -0.3 dBFS */

/* In place, stereo frames at the model's rate. The limiter has no look-ahead, so it costs no latency: its envelope
 * rises with the peak itself, which keeps the product continuous, and falls slowly. */
void nr_output_stage(nr_voice *v, float *frames, uint32_t n, double level_db) {
  double target = level_db <= -90 ? 0.0 : pow(10.0, (level_db + v->spec.gain_db) / 20.0);
  for (uint32_t i = 0; i < n; i++) {
    v->level += v->level_pole * (target - v->level);
    float peak = 0;
    for (int c = 0; c < 2; c++) {
      float x = frames[2 * i + c];
      if (!isfinite(x)) { x = 0; v->nan_values++; } /* a model gone wild must not poison the filters */
      float y = x - v->dc_in[c] + v->dc_pole * v->dc_out[c];
      v->dc_in[c] = x;
      v->dc_out[c] = y;
      y *= (float)v->level;
      frames[2 * i + c] = y;
      if (fabsf(y) > peak) peak = fabsf(y);
    }
    v->limiter_env = fmaxf(peak, v->limiter_env * v->limiter_release);
    if (v->limiter_env > CEILING) {
      float gain = CEILING / v->limiter_env;
      frames[2 * i] *= gain;
      frames[2 * i + 1] *= gain;
    }
  }
  v->limited_db = v->limiter_env > CEILING ? 20.0f * log10f(v->limiter_env / CEILING) : 0.0f;
}
