/* The audio callback: the one piece of code that the sound card waits for.
 *
 * CONTRACT. Inside nr_callback there is no interpreter, no allocation, no lock, no file, no wait of any kind; its one
 * system call is the futex wake that tells the synths that time went on (and, once a thread, the request for real-time
 * scheduling). It always fills every frame. It counts; others read the counts and speak.
 *
 * Ownership: everything in nr_callback_state is private to the callback once it runs. Of the shared block it
 * writes the sections `audio` (but for the fields of the Python side: heartbeat_ns, device_state, reconnects, pid,
 * device_name), `clock`, `scope`, the tails of both slot rings, the input ring and the head of the capture ring. It reads `run`,
 * synth[].playing and the rings.
 *
 * What it plays when frames are missing depends on why (examples: a slot that is killed, one that ends by itself):
 *   late      the slot says it is playing, but its ring lacks frames: an underrun, counted; the last moments are
 *             mirrored in time and faded out, so that neither value nor level jumps; when frames come again they fade in
 *   finished  the slot said that its sound has ended: silence, counted apart
 *   detached  no slot there: silence, not counted
 *   silent    frames are there and are zero: a rest in the music, counted apart */
#ifndef NR_CALLBACK_H
#define NR_CALLBACK_H
#include "rack_table.h"

enum { NR_MAX_BLOCK = 1024, NR_MAX_FADE = 1024 };
enum { NR_DETACHED = 0, NR_PLAYING = 1, NR_FINISHED = 2 };
enum { NR_RUN_PLAY = 1, NR_RUN_FADE = 2, NR_RUN_LEAVE = 3 };

typedef struct {
  float history[2 * NR_MAX_FADE]; /* the slot's last frames as they were played, tails included, oldest first */
  float tail[2 * NR_MAX_FADE];    /* the history as it stood when the last gap began */
  uint32_t fade_out_at;           /* frames of the mirrored tail already played; fade_frames = over */
  uint32_t fade_in_at;            /* frames since the ring flows again; fade_frames = fully in */
  int flowing;
} nr_slot_state;

typedef struct {
  nr_rack *rack;
  uint32_t fade_frames, sample_rate_hz;
  float fade[NR_MAX_FADE + 1]; /* raised cosine, 1 down to 0 */
  nr_slot_state slot[NR_SLOTS];
  float pulled[NR_SLOTS][2 * NR_MAX_BLOCK];
  double mix;          /* 0..1 */
  double master;       /* 0..1, the fade at start and stop */
  int started;
  uint32_t callbacks;  /* since the stream began, as far as they matter */
  /* the filtered clock */
  double dll_now_ns, dll_next_ns, dll_period_ns;
  int64_t previous_ns;
} nr_callback_state;

/* PortAudio's signature. */
int nr_callback(const void *input, void *output, unsigned long frames, const void *time_info, unsigned long flags, void *state);
#endif
