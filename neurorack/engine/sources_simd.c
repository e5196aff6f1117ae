/* Sound sources: sines, bands of noise, random numbers. All positions are integers, so that a block of any length
 * gives the very same samples.
 *
 * Amplitudes come as one row for each frame of `hop` samples; the last sample of frame k has the amplitude of row k,
 * those before it lie on the line from row k-1. */
#include "engine/product_simd.h"

#define CHUNK 64 /* samples summed at a time, in registers and the first cache */

INLINE vec ramp(int64_t first) { /* first, first + 1, … */
    vec v;
    for (int i = 0; i < VL; i++) v[i] = (float)(first + i);
    return v;
}

static void deliver(float *out, int64_t stride, const float *sum, int64_t n) {
    if (stride == 1) memcpy(out, sum, (size_t)n * 4);
    else for (int64_t i = 0; i < n; i++) out[i * stride] = sum[i];
}

/* NaN counts as zero here and shows in the amplitude instead. */
static uint32_t step_of(float cycles_per_sample) {
    if (!(cycles_per_sample > 0)) return 0;
    return cycles_per_sample >= 0.5f ? 0x80000000u : (uint32_t)lrint((double)cycles_per_sample * 4294967296.0);
}

static float audible(float amplitude, float cycles_per_sample) {
    return cycles_per_sample < 0.5f ? amplitude : cycles_per_sample == cycles_per_sample ? 0.0f : cycles_per_sample;
}

/* Adds samples 1 to n (n <= hop) after `done` of one partial's frame to sum. The phase of sample m of a frame is
 * start + m step + bend m (m + 1) / 2. */
static void add_partial(float *sum, int64_t done, int64_t n, uint32_t start, uint32_t step, uint32_t bend, float from,
                        float slope) {
    uvec m, phase;
    for (int i = 0; i < VL; i++) m[i] = (uint32_t)(done + 1 + i);
    vec count = ramp(done + 1);
    for (int64_t i = 0; i < n; i += VL) { /* sum is padded to whole vectors */
        phase = start + m * step + bend * ((m * (m + 1)) >> 1);
        vec amplitude = from + slope * count;
        store(sum + i, load(sum + i) + amplitude * phase_sine((ivec)phase));
        m += VL;
        count += (float)VL;
    }
}

void ISA_NAME(nr_oscillators_run)(const nr_oscillators *p) {
    float sum[CHUNK + VL];
    for (int32_t row = 0; row < p->rows; row++) {
        const float *amplitudes = p->amplitudes + row * p->amplitude_row;
        const float *frequencies = p->frequencies ? p->frequencies + row * p->frequency_row : 0;
        for (int64_t done = 0; done < p->hop; done += CHUNK) {
            int64_t n = p->hop - done < CHUNK ? p->hop - done : CHUNK;
            memset(sum, 0, sizeof sum);
            for (int32_t k = 0; k < p->count; k++) {
                uint32_t step, bend = 0;
                float to = amplitudes[k];
                if (frequencies) {
                    step = p->last_steps[k];
                    bend = (uint32_t)(int32_t)lrint((double)((int64_t)step_of(frequencies[k]) - step) / p->hop);
                    to = audible(to, frequencies[k]);
                } else step = p->steps[k];
                if (to == 0.0f && p->last[k] == 0.0f) continue; /* silent: only its phase moves, below */
                add_partial(sum, done, n, p->phases[k], step, bend, p->last[k], (to - p->last[k]) / (float)p->hop);
            }
            deliver(p->out + (row * (int64_t)p->hop + done) * p->out_stride, p->out_stride, sum, n);
        }
        for (int32_t k = 0; k < p->count; k++) {
            uint32_t hop = (uint32_t)p->hop;
            if (frequencies) {
                uint32_t step = p->last_steps[k], next = step_of(frequencies[k]);
                uint32_t bend = (uint32_t)(int32_t)lrint((double)((int64_t)next - step) / p->hop);
                p->phases[k] += hop * step + bend * ((hop * (hop + 1)) >> 1);
                p->last_steps[k] = next;
                p->last[k] = audible(amplitudes[k], frequencies[k]);
            } else {
                p->phases[k] += hop * p->steps[k];
                p->last[k] = amplitudes[k];
            }
        }
    }
}

/* Adds n samples of one band's loop from `position` on. */
static void add_band(float *sum, const float *loop, int64_t length, int64_t position, int64_t done, int64_t n, float from,
                     float slope) {
    for (int64_t i = 0; i < n;) {
        int64_t run = length - position < n - i ? length - position : n - i, j = 0;
        vec count = ramp(done + i + 1);
        for (; j + VL <= run; j += VL, count += (float)VL)
            store(sum + i + j, load(sum + i + j) + (from + slope * count) * load(loop + position + j));
        for (; j < run; j++) sum[i + j] += (from + slope * (float)(done + i + j + 1)) * loop[position + j];
        i += run;
        position = position + run == length ? 0 : position + run;
    }
}

void ISA_NAME(nr_noise_bands_run)(const nr_noise_bands *p) {
    float sum[CHUNK];
    int64_t position = *p->position % p->length;
    for (int32_t row = 0; row < p->rows; row++) {
        const float *amplitudes = p->amplitudes + row * p->amplitude_row;
        for (int64_t done = 0; done < p->hop; done += CHUNK) {
            int64_t n = p->hop - done < CHUNK ? p->hop - done : CHUNK;
            memset(sum, 0, sizeof sum);
            for (int32_t k = 0; k < p->bands; k++)
                if (amplitudes[k] != 0.0f || p->last[k] != 0.0f)
                    add_band(sum, p->table + k * p->length, p->length, position, done, n, p->last[k],
                             (amplitudes[k] - p->last[k]) / (float)p->hop);
            deliver(p->out + (row * (int64_t)p->hop + done) * p->out_stride, p->out_stride, sum, n);
            position = (position + n) % p->length;
        }
        memcpy(p->last, amplitudes, (size_t)p->bands * 4);
    }
    *p->position = (uint32_t)position;
}

/* Uniform: the upper 24 bits. Normal: Box and Muller, cosine for even elements and sine for odd ones of a pair. */
void ISA_NAME(nr_random_run)(int normal, float *y, uint32_t key, uint32_t first, int64_t n) {
    uvec at;
    for (int i = 0; i < VL; i++) at[i] = first + (uint32_t)i;
    for (int64_t i = 0; i < n; i += VL, at += VL) {
        vec v;
        if (normal) {
            uvec even = at & ~1u;
            uvec one = mix(mix(even ^ key) + key), two = mix(mix((even | 1u) ^ key) + key);
            vec u = (as_float((ivec)(one >> 8)) + 0.5f) * 5.9604644775390625e-8f; /* never 0 */
            vec radius = -2.0f * vlog(u);
            for (int j = 0; j < VL; j++) radius[j] = sqrtf(radius[j]);
            uvec turn = two + 0x40000000u - ((at & 1u) << 30); /* a quarter ahead: cosine */
            v = radius * phase_sine((ivec)turn);
        } else v = as_float((ivec)(mix(mix(at ^ key) + key) >> 8)) * 5.9604644775390625e-8f;
        if (i + VL <= n) store(y + i, v);
        else store_part(y + i, v, n - i);
    }
}
