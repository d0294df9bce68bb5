// Camera: a preview, and a snapshot that is attached to the message. Esc closes it.
const CONSTRAINTS = { video: { width: { ideal: 640 }, height: { ideal: 480 } } };
const JPEG_QUALITY = 0.92;
const SENTENCES = {
  insecure:
    "The browser only lends its camera to a page on this machine or over https: open Triad at http://127.0.0.1:" + location.port + " instead of a network address.",
  NotAllowedError:
    "The camera is blocked: allow it for this page in the browser's address bar, then press the button again.",
  NotFoundError: "No camera was found: plug one in, then press the button again.",
  NotReadableError: "Another program holds the camera: close it there, then press the button again.",
};

const root = element.querySelector(".triad-camera");
const button = root.querySelector('[data-action="toggle"]');
const preview = root.querySelector(".triad-preview");
const video = root.querySelector("video");
const snapButton = root.querySelector('[data-action="snap"]');
const stateLine = root.querySelector(".triad-state");
let stream = null;
let opening = null; // the request the browser is asking about, if any

function say(sentence) {
  stateLine.textContent = sentence;
  stateLine.classList.toggle("triad-problem", Boolean(sentence));
}

async function open() {
  if (!navigator.mediaDevices) return say(SENTENCES.insecure);
  say("");
  const mine = {};
  opening = mine;
  let opened;
  try {
    opened = await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
  } catch (error) {
    if (opening !== mine) return;
    opening = null;
    return say(SENTENCES[error.name] ?? `The camera did not start (${error.name}): press the button again.`);
  }
  // Closed while the browser was asking: nobody wants this camera any more.
  if (opening !== mine) return stop(opened);
  opening = null;
  stream = opened;
  video.srcObject = stream;
  preview.hidden = false;
  button.setAttribute("aria-expanded", "true");
  await video.play();
}

// Until the first frame is there, there is nothing to take.
function frameArrived() {
  if (!stream) return;
  snapButton.disabled = false;
  snapButton.focus();
}

function stop(opened) {
  opened.getTracks().forEach((track) => track.stop());
}

function close() {
  opening = null;
  if (stream) stop(stream);
  stream = null;
  video.srcObject = null;
  snapButton.disabled = true;
  preview.hidden = true;
  button.setAttribute("aria-expanded", "false");
}

function snap() {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  trigger("upload", { picture: canvas.toDataURL("image/jpeg", JPEG_QUALITY) });
  close();
  document.querySelector("#triad-box textarea")?.focus();
}

button.addEventListener("click", () => (stream || opening ? close() : open()));
snapButton.addEventListener("click", snap);
video.addEventListener("loadeddata", frameArrived);
root.querySelector('[data-action="close"]').addEventListener("click", () => {
  close();
  button.focus();
});
document.addEventListener("triad-escape", (event) => {
  if (!stream && !opening) return;
  event.preventDefault();
  close();
  button.focus();
});
