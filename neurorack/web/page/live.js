// The connection: asks the instrument, keeps the last of every part, and comes back by itself. The messages are told in neurorack/web/__init__.py.

const PICTURE = 1, SCOPE = 2, FIRST_PAUSE_MS = 300, LONGEST_PAUSE_MS = 4000, ANSWER_MS = 95000;

/** The last value of every part ("status", "scenes", …; also "hello"), and what moves by itself (`now`). */
export const state = {};
export const now = {};

const watchers = new Map(), waiting = new Map();
let socket = null, number = 0, pause = FIRST_PAUSE_MS, refused = null;

function tell(part, ...values) {
  for (const call of watchers.get(part) ?? []) call(...values);
}

/**
 * Be told of a part whenever it changed, and at once if it is known. Besides the parts: "now" (what changed, everything), "scope" (Int16Array),
 * "picture" (width, height, mode, bytes), "log" (lines), "upload" (message), "connection" ("live", "lost" or "pair").
 */
export function watch(part, call) {
  if (!watchers.has(part)) watchers.set(part, new Set());
  watchers.get(part).add(call);
  if (state[part] !== undefined) call(state[part]);
}

/** Ask the instrument; its answer, or an Error with its one line. */
export function ask(what) {
  return new Promise((done, failed) => {
    if (socket?.readyState !== WebSocket.OPEN) return failed(new Error("the instrument is not connected"));
    const id = ++number;
    const timer = setTimeout(() => { waiting.delete(id); failed(new Error("no answer came")); }, ANSWER_MS);
    waiting.set(id, { done, failed, timer });
    socket.send(JSON.stringify({ id, ...what }));
  });
}

/** A part that the page itself finds out, kept and told as those of the instrument. */
export function announce(part, value) {
  state[part] = value;
  tell(part, value);
}

let complain = () => {};
/** Where the one line of a refused wish goes. */
export function onRefusal(call) { complain = call; }

/** Ask, and show the one line if it is refused: resolves to the answer or to null. */
export const wish = (what) => ask(what).catch((error) => { complain(error.message); return null; });

const MERGED = ["A", "B"];
function text(message) {
  if (message.type === "answer") {
    const who = waiting.get(message.id);
    if (!who) return;
    waiting.delete(message.id);
    clearTimeout(who.timer);
    if (message.ok) who.done(message); else who.failed(new Error(message.error));
  } else if (message.type === "now") {
    const { type, ...changed } = message;
    for (const slot of MERGED) if (changed[slot] && now[slot]) changed[slot] = { ...now[slot], ...changed[slot] };
    Object.assign(now, changed);
    tell("now", changed, now);
  } else if (message.type === "state") {
    state[message.part] = message.value;
    tell(message.part, message.value);
  } else if (message.type === "hello") {
    state.hello = message;
    tell("hello", message);
  } else tell(message.type, message);
}

async function binary(buffer) {
  const view = new DataView(buffer), kind = view.getUint8(0);
  if (kind === SCOPE) return tell("scope", new Int16Array(buffer, 4));
  if (kind !== PICTURE) return;
  let bytes = new Uint8Array(buffer, 8);
  if (view.getUint8(2)) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  }
  tell("picture", view.getUint16(4, true), view.getUint16(6, true), view.getUint8(1) === 3 ? "RGB" : "1", bytes);
}

function connection(is) {
  if (state.connection === is) return;
  state.connection = is;
  tell("connection", is);
}

function lost(event) {
  socket = null;
  for (const { failed, timer } of waiting.values()) { clearTimeout(timer); failed(new Error("the connection to the instrument was lost")); }
  waiting.clear();
  again(event);
}

/** Whether it wants a code, or is not there at all: only a plain request tells. */
async function again() {
  let status = 0;
  try { status = (await fetch("/api/status", { cache: "no-store" })).status; } catch { /* not there */ }
  if (status === 401) return connection("pair");
  connection("lost");
  refused = setTimeout(connect, pause);
  pause = Math.min(LONGEST_PAUSE_MS, pause * 1.6);
}

/** Open the connection, and keep it open. */
export function connect() {
  clearTimeout(refused);
  let order = Promise.resolve();
  const mine = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  mine.binaryType = "arraybuffer";
  mine.onopen = () => { socket = mine; pause = FIRST_PAUSE_MS; };
  mine.onmessage = ({ data }) => {
    if (typeof data !== "string") { order = order.then(() => binary(data)); return; }      // pictures stay in their order while they are unpacked
    const message = JSON.parse(data);
    text(message);
    if (message.type === "hello") connection("live");
  };
  mine.onclose = lost;
}
