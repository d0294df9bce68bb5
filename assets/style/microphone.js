// Push to talk: click to start and again to send, or hold the button or Space while speaking.
// idle -> asking -> listening -> sending -> idle; Esc throws the recording away.
const HOLD_MS = 400; // held longer than this, letting go sends
const MAX_CLIP_MS = 30000;
const CONSTRAINTS = {
  audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
};
const WORDS = {
  idle: "",
  asking: "Allow the microphone in your browser…",
  listening: "Listening… press again to send",
  sending: "Sending…",
};
const SENTENCES = {
  insecure:
    "The browser only lends its microphone to a page on this machine or over https: open Triad at http://127.0.0.1:" + location.port + " instead of a network address.",
  NotAllowedError:
    "The microphone is blocked: allow it for this page in the browser's address bar, then press the button again.",
  NotFoundError: "No microphone was found: plug one in, then press the button again.",
  NotReadableError: "Another program holds the microphone: close it there, then press the button again.",
  lost: "The connection to Triad broke: check that it still runs, then say it again.",
};

const root = element.querySelector(".triad-microphone");
const button = root.querySelector("button");
const stateLine = root.querySelector(".triad-state");
const level = root.querySelector(".triad-level i");
let recording = null;
let pressedAt = 0;

function show(state, sentence) {
  root.dataset.state = state;
  button.setAttribute("aria-pressed", String(state === "listening"));
  stateLine.textContent = sentence ?? WORDS[state];
  stateLine.classList.toggle("triad-problem", Boolean(sentence));
  if (state !== "listening") level.style.transform = "scaleX(0)";
}

function openSocket() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/voice`);
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error("lost"));
  });
}

async function openCapture(stream, take) {
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule("/style/capture-worklet.js");
    await context.resume();
  } catch (error) {
    context.close();
    throw error;
  }
  const worklet = new AudioWorkletNode(context, "triad-capture", { numberOfOutputs: 0 });
  worklet.port.onmessage = ({ data }) => take(data);
  context.createMediaStreamSource(stream).connect(worklet);
  return { context, worklet };
}

async function start() {
  if (!navigator.mediaDevices) return show("idle", SENTENCES.insecure);
  const mine = { isDropped: false };
  recording = mine;
  show("asking");
  try {
    mine.stream = await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
    if (mine.isDropped) return close(mine);
    mine.stream.getTracks().forEach((track) => (track.onended = () => recording === mine && fail(mine, SENTENCES.NotFoundError)));
    mine.socket = await openSocket();
    if (mine.isDropped) return close(mine);
    mine.socket.onmessage = ({ data }) => finish(mine, JSON.parse(data));
    mine.socket.onclose = () => recording === mine && fail(mine, SENTENCES.lost);
    mine.capture = await openCapture(mine.stream, (chunk) => take(mine, chunk));
    if (mine.isDropped) return close(mine);
    mine.timer = setTimeout(() => send(mine), MAX_CLIP_MS);
    show("listening");
    trigger("start");
  } catch (error) {
    fail(mine, SENTENCES[error.name] ?? SENTENCES[error.message] ?? `The microphone did not start (${error.name}): press the button again.`);
  }
}

function take(mine, { pcm, loudness, isLast }) {
  if (mine.isDropped || mine.socket.readyState !== WebSocket.OPEN) return;
  if (pcm.byteLength) mine.socket.send(pcm);
  if (isLast) mine.socket.send(JSON.stringify({ type: "end" }));
  if (recording === mine) level.style.transform = `scaleX(${Math.min(1, loudness * 6)})`;
}

// The worklet hands over its last samples before "end" is sent, so no final word is lost.
function send(mine) {
  if (mine.isSending || !mine.capture) return;
  mine.isSending = true;
  clearTimeout(mine.timer);
  show("sending");
  mine.capture.worklet.port.postMessage("end");
}

function finish(mine, answer) {
  close(mine);
  if (mine.isDropped) return;
  if (answer.type === "clip") trigger("submit", { clip: answer.id });
  show("idle", answer.type === "clip" ? undefined : answer.message);
}

function fail(mine, sentence) {
  close(mine);
  if (!mine.isDropped) show("idle", sentence);
}

function drop(mine) {
  mine.isDropped = true;
  close(mine);
  show("idle");
}

function close(mine) {
  clearTimeout(mine.timer);
  mine.stream?.getTracks().forEach((track) => track.stop());
  if (mine.capture && mine.capture.context.state !== "closed") mine.capture.context.close();
  if (recording === mine) recording = null;
  mine.socket?.close();
}

function press() {
  pressedAt = performance.now();
  if (!recording) start();
  else if (root.dataset.state === "listening") send(recording);
  else if (!recording.isSending) drop(recording);
}

function letGo() {
  const isHeld = pressedAt && performance.now() - pressedAt > HOLD_MS;
  pressedAt = 0;
  if (!isHeld || !recording) return;
  if (root.dataset.state === "listening") send(recording);
  else if (root.dataset.state === "asking" && recording.stream) drop(recording); // over before it began
}

button.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  button.setPointerCapture(event.pointerId); // letting go counts wherever the pointer is by then
  press();
});
button.addEventListener("pointerup", letGo);
button.addEventListener("pointercancel", letGo);
window.addEventListener("blur", letGo); // a key that is let go in another window is not told here
button.addEventListener("keydown", (event) => {
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  if (!event.repeat) press();
});
button.addEventListener("keyup", (event) => {
  if (event.key === " ") event.preventDefault();
  if (event.key === " " || event.key === "Enter") letGo();
});
// Assistive technology clicks without a pointer or a key.
button.addEventListener("click", (event) => event.detail === 0 && !event.pointerType && press());
document.addEventListener("triad-escape", (event) => {
  if (!recording) return;
  event.preventDefault();
  drop(recording);
});
