/* Modulation: from jacks to controls, and from controls to the decoder's inputs. See voice.h for the contract. */
#include <math.h>
#include <string.h>

#include "voice/voice.h"

static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

/* jack -> volts after smoothing -> curve -> attenuverter and offset */
static double route_value(nr_voice *v, const nr_row *row, int r) {
  const nr_patch *p = &v->patch;
  int jack = p->route_jack[r];
  double volts = p->route_latched[r] ? v->latched_cv[jack] : row->cv_volts[jack];
  if (!v->route_primed[r]) {
    v->route_primed[r] = 1;
    v->route_volts[r] = volts;
  }
  v->route_volts[r] += v->route_smooth[r] * (volts - v->route_volts[r]);
  double x = v->route_volts[r], curve = p->route_curve[r];
  if (curve != 1.0) x = copysign(10.0 * pow(fabs(x) / 10.0, curve), x);
  return p->route_amount[r] * x + p->route_offset[r];
}

static void compute_controls(nr_voice *v, const nr_row *row) {
  for (uint32_t c = 0; c < v->spec.controls; c++) v->control[c] = row->knob[c];
  for (int r = 0; r < NR_ROUTES; r++) {
    int jack = v->patch.route_jack[r], control = v->patch.route_control[r];
    if (jack < 0 || jack >= NR_CV_JACKS || control < 0 || control >= (int)v->spec.controls) continue;
    v->control[control] += route_value(v, row, r);
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
    double drive = clamp01(row->drive[c]);
    x[v->link_input[l]] += (float)(bend * (1 - drive) * (v->control[c] - v->control_default[c]) * (v->link_high[l] - v->link_low[l]));
  }
  for (uint32_t l = 0; l < v->spec.links; l++) {
    int c = v->link_control[l], i = v->link_input[l];
    double drive = clamp01(row->drive[c]), absolute = v->link_low[l] + v->control[c] * (v->link_high[l] - v->link_low[l]);
    if (drive > 0) x[i] += (float)(drive * (absolute - x[i]));
  }
}
