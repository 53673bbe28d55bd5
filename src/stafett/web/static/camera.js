// The camera as a scanner: frames go to a worker, which reads them with zxing (WebAssembly). Only the
// worker may compile WebAssembly; the pages keep their strict policy.
import { h, t } from "./dom.js";

const LOOK_MS = 120;

function reader() {
  const worker = new Worker("/static/camera-worker.js", { type: "module" });
  let next = 1;
  const waiting = new Map();
  worker.onmessage = ({ data }) => { waiting.get(data.id)?.(data); waiting.delete(data.id); };
  worker.onerror = (event) => { for (const give of waiting.values()) give({ error: event.message || "worker" }); waiting.clear(); };
  return {
    read: (image) => new Promise((give) => { const id = next; next += 1; waiting.set(id, give); worker.postMessage({ id, image }, [image.data.buffer]); }),
    close: () => worker.terminate(),
  };
}

// Read the symbols in one picture (ImageData): their texts, as a scanner would send them.
export async function readImage(image) {
  const one = reader();
  try {
    const found = await one.read(image);
    if (found.error) throw new Error(found.error);
    return found.texts;
  } finally { one.close(); }
}

// Open the camera until a symbol is read (its text) or a person closes it (null).
export async function look() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false });
  const video = h("video", { autoplay: true, playsinline: true, "aria-label": t("scanner.camera") });
  video.muted = true;
  video.srcObject = stream;
  const box = h("dialog", { class: "camera", "aria-labelledby": "camera-what" }, h("p", { id: "camera-what", class: "ask" }, t("scanner.camera-what")), video, h("form", { method: "dialog" }, h("button", { class: "main" }, t("station.back"))));
  document.body.append(box);
  box.showModal();
  const one = reader();
  const canvas = document.createElement("canvas");
  let read = null, failed = null;
  try {
    await video.play();
    while (box.open && read === null) {
      if (video.videoWidth) {
        canvas.width = video.videoWidth;
        canvas.height = video.videoHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(video, 0, 0);
        const found = await one.read(context.getImageData(0, 0, canvas.width, canvas.height));
        if (found.error) { failed = new Error(found.error); break; }
        // Two symbols in sight: a person must choose, by holding one away.
        if (found.texts.length === 1) [read] = found.texts;
        box.querySelector("#camera-what").textContent = found.texts.length > 1 ? t("scanner.camera-many") : t("scanner.camera-what");
      }
      if (read === null) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    one.close();
    for (const track of stream.getTracks()) track.stop();
    box.close();
    box.remove();
  }
  if (failed) throw failed;
  return read;
}
