// Tones made with WebAudio: no sound files to load. A browser only lets a page sound after the user
// has touched it; before that the banner and the title must do.

const RING = {frequencies: [440, 554], onMs: 800, cycleMs: 2400, gain: 0.12};
const RINGBACK = {frequencies: [425], onMs: 1000, cycleMs: 5000, gain: 0.05};
const WAITING = {frequencies: [425], onMs: 180, cycleMs: 3000, gain: 0.04};
const DTMF = {
  1: [697, 1209], 2: [697, 1336], 3: [697, 1477], 4: [770, 1209], 5: [770, 1336], 6: [770, 1477],
  7: [852, 1209], 8: [852, 1336], 9: [852, 1477], '*': [941, 1209], 0: [941, 1336], '#': [941, 1477],
};

let context = null;

function audio() {
  context ??= new AudioContext();
  if (context.state === 'suspended') context.resume().catch(() => {});
  return context;
}

function beep({frequencies, onMs, gain}) {
  const ctx = audio();
  if (ctx.state !== 'running') return;
  const level = ctx.createGain();
  const end = ctx.currentTime + onMs / 1000;
  level.gain.setValueAtTime(0, ctx.currentTime);
  level.gain.linearRampToValueAtTime(gain, ctx.currentTime + 0.01);
  level.gain.setValueAtTime(gain, end - 0.01);
  level.gain.linearRampToValueAtTime(0, end);
  level.connect(ctx.destination);
  for (const frequency of frequencies) {
    const tone = ctx.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(level);
    tone.start();
    tone.stop(end);
  }
}

let current = null;
let timer = 0;

function play(pattern) {
  if (pattern === current) return;
  clearInterval(timer);
  current = pattern;
  if (!pattern) return;
  beep(pattern);
  timer = setInterval(() => beep(pattern), pattern.cycleMs);
}

/** The tone that fits the calls: ringing, waiting beside another call, or ringing at the far side. */
export function toneFor(calls) {
  const incoming = calls.some((c) => c.state === 'incoming');
  const talking = calls.some((c) => ['accepted', 'confirmed', 'held'].includes(c.state));
  const remoteRings = calls.some((c) => c.state === 'progress' && !c.earlyMedia);
  if (incoming) play(talking ? WAITING : RING);
  else play(remoteRings && !talking ? RINGBACK : null);
}

/** The short sound of a key. */
export function keyTone(key) {
  if (DTMF[key]) beep({frequencies: DTMF[key], onMs: 120, gain: 0.05});
}

/** To be called from a user's gesture, so that a later ring can be heard. */
export function unlock() {
  try {
    audio();
  } catch {
    /* no audio output: the page works without tones */
  }
}
