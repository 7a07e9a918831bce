// What both stacks' calls have in common: their list, what happened to each, and the media.

/** Counts of a connection, in packets, and how it got there. */
async function statistics(pc) {
  const found = {audio: {sent: 0, received: 0}, video: {sent: 0, received: 0}, ice: pc.iceConnectionState,
    ufrag: /a=ice-ufrag:(\S+)/.exec(pc.currentLocalDescription?.sdp ?? '')?.[1] ?? '',
    directions: pc.getTransceivers().filter((t) => t.currentDirection !== 'stopped').map((t) => t.currentDirection)};
  for (const report of (await pc.getStats()).values()) {
    const sum = found[report.kind];
    if (report.type === 'outbound-rtp' && sum) sum.sent += report.packetsSent;
    if (report.type === 'inbound-rtp' && sum) sum.received += report.packetsReceived;
  }
  return found;
}

/** window.stack of a page: `does` are the stack's own ways, (session, ...) each. */
export function page(does) {
  const calls = new Map();
  const notes = [];
  let count = 0;
  const stack = {
    /** A new session: its id. */
    add(session, direction, remote) {
      count += 1;
      const id = `c${count}`;
      calls.set(id, {session, direction, remote, state: direction === 'in' ? 'ringing' : 'calling', status: 0});
      return id;
    },
    id: (session) => [...calls].find(([, c]) => c.session === session)?.[0],
    set(session, changes) {
      for (const c of calls.values()) {
        // Nothing follows the end of a call, whatever order a stack reports in.
        if (c.session === session && c.state !== 'ended') Object.assign(c, changes);
      }
    },
    note: (name, data = {}) => notes.push({name, ...data}),
  };
  window.phone = {
    calls: () => [...calls].map(([id, {direction, remote, state, status}]) => ({id, direction, remote, state, status})),
    events: () => notes,
    stats: async (id) => {
      const pc = does.connection(calls.get(id).session);
      return pc ? statistics(pc) : null;
    },
    start: (options) => does.start(options),
    stop: () => does.stop(),
    call: (target, video) => does.call(target, video),
    /** The other call of that id, as an argument, stands for its session. */
    do: (what, id, ...args) => does[what](calls.get(id).session, ...args.map((a) => calls.get(a)?.session ?? a)),
  };
  return stack;
}
