/* The synth's render thread: keeps one slot's ring a chosen time ahead of the callback.
 *
 * CONTRACT. nr_synth_run is called once, from a thread that holds no interpreter lock, and returns when *stop is set.
 * Between its blocks it sleeps on the callback's futex; within a block nothing allocates, locks or calls the system
 * (but for reading the clock). It writes: the slot's ring head, the slot's `synth` section (but for heartbeat_ns, pid and
 * model_name, which are the Python side's). It reads: controls, patch, edges, clock.
 *
 * Deep and quick. The ring is kept `lead_frames` deep, so that the machine may stand still for some milliseconds
 * unheard. Yet a hit must not wait behind what is already rendered: before each block the whole voice is saved
 * (lookahead.c), and when an edge arrives that belongs into a block already made, the blocks from there on are taken
 * back from the ring and made anew. The same for a control that moved by a step. So the depth costs no latency.
 *
 * When a block is due. Ring frame r(t) is the one the callback would take at time t (filtered clock). A block is
 * rendered as soon as head - r(t) < T, with T = lead + max(0, card block - our block): it then has at least `lead`
 * frames of time before the callback can ask for it.
 *
 * Where an edge goes. An edge at time e belongs to ring frame r(e) + C, with the constant
 * C = settle + slack + quick lead + max(card block, our block) (+ the shorter block where they do not fit): the least
 * that always leaves `quick lead` frames to make the block anew. So the distance from jack to sound is constant, and its
 * jitter is that of the timestamps. The quick lead follows from what a block costs (governor.py); a voice that cannot
 * be saved takes nothing back, and its quick lead is the whole lead.
 *
 * When it is too late. A block that cannot be made before the callback comes for it is not begun: the last sound goes on
 * in its place (hold.c), counted. So a model that is somewhat too slow repeats itself instead of falling silent. */
#ifndef NR_LOOP_H
#define NR_LOOP_H
#include "shm/queue.h"
#include "synth/cost.h"
#include "voice/voice.h"

enum { NR_QUICK_LEAD_FRAMES = 64, NR_MAX_SAVED = 64, NR_PLACED = 256 };

typedef struct {
  uint64_t head;         /* ring frame at which the saved voice would go on; 0 bytes valid when `used` is 0 */
  uint64_t frame;        /* the voice's own frame there */
  void *state;
} nr_saved;

typedef struct {
  nr_rack *rack;
  uint32_t slot;
  nr_voice *voice;
  int can_save;
  uint32_t chunk_frames; /* our block in ring frames, rounded up */
  uint32_t lead_frames, quick_lead_frames, edge_delay_frames;
  uint64_t wanted_leads; /* lead << 32 | quick lead, as the governor last set them; 0 = nothing new */
  double fixed_delay_frames; /* the part of edge_delay_frames that no lead changes */
  uint64_t began_head;   /* ring frame at which this process began */
  uint64_t first_frame;  /* ring frame of the voice's frame 0 */
  double model_per_ring; /* model frames a ring frame */
  double inside_frames;  /* the voice's own placement and the resampler's delay, in ring frames */
  uint32_t begun_gates;                  /* bit i: the voice was given a rising edge of gate i+1, and is owed the falling one */
  uint64_t edge_cursor, lost_edges, late_edges, takebacks, remade_frames, triggers_before;
  /* last good copies of what others write */
  double volts[NR_ROUTED_JACKS], rendered_volts[NR_ROUTED_JACKS]; /* the jacks, then the modulators */
  uint32_t leaps[NR_MODULATORS], rendered_leaps[NR_MODULATORS]; /* of the modulators */
  nr_patch patch, patch_scratch;
  uint32_t rendered_revision;
  double callback_ns, frames_per_ns;
  uint64_t ring_frame;
  int clock_running;
  double load;           /* smoothed */
  nr_cost cost;
  int64_t due_ns;        /* when the thread meant to wake for its next block; 0 = at once */
  uint64_t slow_blocks, gone_blocks, held_blocks;
  int holding;           /* the block before was a held one */
  uint64_t control_takeback_head; /* no further one for a control before head passed this */
  float *out;
  /* look-ahead */
  nr_saved saved[NR_MAX_SAVED];
  uint32_t saved_count, saved_next, saved_room;
  nr_voice_edge placed[NR_PLACED]; /* the edges of the recent past, to be added again after a take-back */
  uint64_t placed_count;
} nr_synth_loop;

/* lookahead.c */
int nr_lookahead_new(nr_synth_loop *s);
void nr_lookahead_free(nr_synth_loop *s);
void nr_lookahead_save(nr_synth_loop *s, uint64_t head);
void nr_place_edge(nr_synth_loop *s, const nr_edge *edge, int64_t now);
void nr_lookahead_for_controls(nr_synth_loop *s, int64_t now);

/* hold.c: is a held block the only one that would come in time; make it in `out`; fade a real one in after it */
int nr_hold_due(const nr_synth_loop *s, int64_t now);
void nr_hold_block(nr_synth_loop *s);
void nr_hold_end(nr_synth_loop *s, uint32_t frames);

/* loop.c: the ring frame the callback would take at this time, were it continuous. */
static inline double nr_ring_time(const nr_synth_loop *s, int64_t ns) {
  return (double)s->ring_frame + ((double)ns - s->callback_ns) * s->frames_per_ns;
}
#endif
