// The camera, and what codes it sees. The reader is the vendored one, so that every phone reads alike.

const EVERY_MS = 120;

export async function watch(video, wasm, seen) {
  const { BarcodeDetector, prepareZXingModule } = window.BarcodeDetectionAPI;
  prepareZXingModule({ overrides: { locateFile: () => wasm } });
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
  });
  video.srcObject = stream;
  await video.play();
  const reader = new BarcodeDetector({ formats: ["qr_code"] });
  const look = async () => {
    try {
      if (!document.hidden && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
        for (const { rawValue } of await reader.detect(video)) seen(rawValue);
      }
    } catch {
      // A frame that cannot be read is followed by another one.
    }
    setTimeout(look, EVERY_MS);
  };
  look();
  navigator.wakeLock?.request("screen").catch(() => {});
}
