/* Modulation: from jacks to controls, and from controls to the decoder's inputs. See voice.h for the contract. */
#include <math.h>
#include <string.h>

#include "inputs/quantise.h"
#include "voice/voice.h"

static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

static const double STAY_STEPS = 0.1; /* a value is left when another is nearer by this share of the way between them */

/* So many values from low to high. */
static double stepped(nr_voice *v, int r, double value) {
  double low = v->patch.route_low[r], step = (v->patch.route_high[r] - low) / (v->patch.route_steps[r] - 1.0);
  if (step <= 0) return low;
  double at = (value - low) / step, nearest = floor(at + 0.5);
  if (!v->route_noted[r] || fabs(nearest - at) + STAY_STEPS < fabs(v->route_note[r] - at)) v->route_note[r] = nearest;
  v->route_noted[r] = 1;
  return low + v->route_note[r] * step;
}

/* Where a route takes a control: jack -> volts after smoothing -> scale -> curve -> attenuverter and offset -> limits -> steps */
static double routed(nr_voice *v, const nr_row *row, int r, double value) {
  const nr_patch *p = &v->patch;
  int jack = p->route_jack[r];
  double volts = p->route_latched[r] ? v->latched_volts[jack] : row->volts[jack];
  if (!v->route_primed[r]) {
    v->route_primed[r] = 1;
    v->route_volts[r] = volts;
  }
  v->route_volts[r] += v->route_smooth[r] * (volts - v->route_volts[r]);
  double x = v->route_volts[r], curve = p->route_curve[r], low = p->route_low[r], high = p->route_high[r];
  if (p->route_scale[r]) x = nr_quantise(p->route_scale[r], p->route_root[r], x, &v->route_note[r], &v->route_noted[r]);
  if (curve != 1.0) x = copysign(10.0 * pow(fabs(x) / 10.0, curve), x);
  value += p->route_amount[r] * x + p->route_offset[r];
  int limited = low > 0 || high < 1 || p->route_steps[r]; /* what routes add up to may leave 0..1 on the way */
  if (limited) value = value < low ? low : value > high ? high : value;
  return p->route_steps[r] > 1 ? stepped(v, r, value) : value;
}

static void compute_controls(nr_voice *v, const nr_row *row) {
  for (uint32_t c = 0; c < v->spec.controls; c++) v->control[c] = row->knob[c];
  for (int r = 0; r < NR_ROUTES; r++) {
    int jack = v->patch.route_jack[r], control = v->patch.route_control[r];
    if (jack < 0 || jack >= NR_ROUTED_JACKS || control < 0 || control >= (int)v->spec.controls) continue;
    v->control[control] = routed(v, row, r, v->control[control]);
  }
  for (uint32_t c = 0; c < v->spec.controls; c++) v->control[c] = clamp01(v->control[c]);
}

double nr_control_of_kind(const nr_voice *v, int kind, double otherwise) {
  return v->kind_control[kind] < 0 ? otherwise : v->control[v->kind_control[kind]];
}

/* The decoder's inputs of one row; a model that plays the audio input has none. */
void nr_modulate_row(nr_voice *v, uint32_t r, float *x) {
  const nr_row *row = &v->row[r];
  compute_controls(v, row);
  if (v->spec.plays == NR_PLAYS_INPUT) return;
  double bend = nr_source_row(v, r, x);
  for (uint32_t l = 0; l < v->spec.links; l++) {
    int c = v->link_control[l];
    double drive = clamp01(row->drive[c]), whole = v->control_kind[c] == NR_KIND_PITCH ? 1.0 : bend;
    x[v->link_input[l]] += (float)(whole * (1 - drive) * (v->control[c] - v->control_default[c]) * (v->link_high[l] - v->link_low[l]));
  }
  for (uint32_t l = 0; l < v->spec.links; l++) {
    int c = v->link_control[l], i = v->link_input[l];
    double drive = clamp01(row->drive[c]), absolute = v->link_low[l] + v->control[c] * (v->link_high[l] - v->link_low[l]);
    if (drive > 0) x[i] += (float)(drive * (absolute - x[i]));
  }
}
