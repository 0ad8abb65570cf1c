// A sound for each verdict, made by the browser: they differ in number, pitch and length.

const SOUNDS = {
  in: [[880, 0.09], [1320, 0.16]],
  already_in: [[520, 0.12], [520, 0.12]],
  other_date: [[520, 0.08], [440, 0.08], [520, 0.08]],
  void: [[170, 0.55]],
  unknown: [[170, 0.22], [120, 0.4]],
  queued: [[660, 0.3]],
};
let speaker = null;

// Browsers make no sound before somebody has touched the page.
export function listen() {
  speaker ??= new AudioContext();
  speaker.resume();
}

export function sound(kind) {
  if (!speaker || !SOUNDS[kind]) return;
  let at = speaker.currentTime;
  for (const [pitch, seconds] of SOUNDS[kind]) {
    const tone = speaker.createOscillator();
    const volume = speaker.createGain();
    tone.type = "square";
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.25, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + seconds);
    tone.connect(volume).connect(speaker.destination);
    tone.start(at);
    tone.stop(at + seconds);
    at += seconds + 0.05;
  }
  if (kind !== "in") navigator.vibrate?.(200);
}
