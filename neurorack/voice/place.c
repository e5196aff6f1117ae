/* The decoder's block, and where its rows come to lie. See voice.h for the contract. */
#include <math.h>
#include <string.h>

#include "voice/voice.h"

static const double BRIDGE_SECONDS = 0.01;

/* A block that did not come: the last moments backwards, fading out; then silence; what comes again fades in. */
static void bridge(nr_voice *v, float *to, int came) {
  uint32_t channels = v->channels, past = nr_past_frames(v), fade = (uint32_t)(BRIDGE_SECONDS * v->spec.sample_rate_hz);
  if (fade > v->chunk_frames) fade = v->chunk_frames;
  if (fade > past) fade = past;
  if (came) memcpy(to, v->decoder.out, (size_t)v->chunk_frames * channels * sizeof *to);
  else memset(to, 0, (size_t)v->chunk_frames * channels * sizeof *to);
  for (uint32_t i = 0; i < fade; i++) {
    float rise = (float)(i + 1) / (float)fade;
    for (uint32_t c = 0; c < channels; c++) {
      if (came) to[(size_t)i * channels + c] *= rise;
      else if (!v->missing) to[(size_t)i * channels + c] = (1 - rise) * to[(ptrdiff_t)c - (ptrdiff_t)(i + 1) * channels];
    }
  }
  v->missing = !came;
}

/* One block of the model, behind what is left of the one before. */
void nr_decode(nr_voice *v) {
  float *to = v->line + (size_t)nr_past_frames(v) * v->channels;
  int came = nr_stage_run(&v->decoder);
  v->missing_blocks += (uint64_t)!came;
  if (came && !v->missing) memcpy(to, v->decoder.out, (size_t)v->chunk_frames * v->channels * sizeof *to);
  else bridge(v, to, came);
}

static void read_at(const nr_voice *v, double at, float *stereo) {
  uint32_t whole = (uint32_t)at, right = v->channels > 1 ? 1 : 0;
  float fraction = (float)(at - whole);
  const float *a = v->line + (size_t)whole * v->channels, *b = fraction > 0 ? a + v->channels : a;
  stereo[0] = a[0] + fraction * (b[0] - a[0]);
  stereo[1] = a[right] + fraction * (b[right] - a[right]);
}

/* Short hops. The read position is continuous: at a trigger it glides from where it stands to the gesture's first frame,
 * and arrives there `delay_frames` after that frame was made. */
static void glide_row(nr_voice *v, uint32_t row, float *stereo) {
  nr_placement *p = &v->placement;
  uint32_t hop = v->spec.hop_frames;
  if (v->row[row].delay_frames > 0) {
    p->from = p->delay;
    p->to = v->row[row].delay_frames;
    p->done = 0;
  }
  for (uint32_t i = 0; i < hop; i++) {
    if (p->to > 0) {
      p->delay = p->from + p->done * (1 - p->from / p->to);
      if (p->done++ >= p->to) {
        p->delay = p->to;
        p->to = 0;
      }
    }
    read_at(v, nr_past_frames(v) + (double)(row * hop + i) - p->delay, stereo + 2 * i);
  }
}

/* Long hops. A read position that hurried over a thousand frames would be heard as a chirp; instead two of them crossfade,
 * from the old to the new, before either comes to the gesture's first frame. A fade that still runs is finished first. */
static void begin_fade(nr_placement *p, double to, uint64_t from, uint32_t length) {
  p->to = to;
  p->next = 0;
  p->fade_from = from;
  p->fade_to = from + length;
}

static void fade_row(nr_voice *v, uint32_t row, float *stereo) {
  nr_placement *p = &v->placement;
  uint32_t hop = v->spec.hop_frames, length = nr_least_delay(v);
  uint64_t start = v->frame + (uint64_t)row * hop;
  double wanted = v->row[row].delay_frames;
  if (wanted > 0 && p->to > 0) p->next = wanted;
  else if (wanted > 0) begin_fade(p, wanted, start + (uint64_t)fmin(p->delay, wanted) - length, length);
  for (uint32_t i = 0; i < hop; i++) {
    uint64_t frame = start + i;
    double at = nr_past_frames(v) + (double)(row * hop + i);
    if (p->to > 0 && frame >= p->fade_to) {
      p->delay = p->to;
      p->to = 0;
      if (p->next > 0) begin_fade(p, p->next, frame, length);
    }
    read_at(v, at - p->delay, stereo + 2 * i);
    if (p->to > 0 && frame >= p->fade_from) {
      float other[2], share = (float)(0.5 - 0.5 * cos(M_PI * ((double)(frame - p->fade_from) + 0.5) / length));
      read_at(v, at - p->to, other);
      for (int c = 0; c < 2; c++) stereo[2 * i + c] += share * (other[c] - stereo[2 * i + c]);
    }
  }
}

void nr_place_row(nr_voice *v, uint32_t row, float *stereo) {
  if (v->spec.hop_frames > NR_LONGEST_GLIDING_HOP) fade_row(v, row, stereo);
  else glide_row(v, row, stereo);
}
