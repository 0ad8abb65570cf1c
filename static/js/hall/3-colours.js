// Colours that can be told from the ground, whatever an organiser has chosen for a price.

export function channels(colour) {
  const hex = colour.trim().replace(/^#/, "");
  if (/^[0-9a-f]{3}$/i.test(hex)) return [...hex].map((one) => parseInt(one + one, 16));
  if (/^[0-9a-f]{6}$/i.test(hex)) return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const numbers = colour.match(/[\d.]+/g);
  return numbers?.length >= 3 ? numbers.slice(0, 3).map(Number) : [128, 128, 128];
}

export function luminance(colour) {
  const [r, g, b] = channels(colour).map((one) => (one / 255 <= 0.03928 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

// The colour, or the nearest to it towards black or white that stands out from the ground.
export function readable(colour, ground, least = 3) {
  const towards = luminance(ground) > 0.18 ? 0 : 255;
  const from = channels(colour);
  for (let part = 0; part <= 1; part += 0.04) {
    const mixed = `rgb(${from.map((one) => Math.round(one + (towards - one) * part)).join(" ")})`;
    if (contrast(mixed, ground) >= least) return mixed;
  }
  return towards ? "rgb(255 255 255)" : "rgb(0 0 0)";
}

// What can be read on a colour.
export function inkOn(colour) {
  return contrast(colour, "#ffffff") >= contrast(colour, "#101416") ? "#ffffff" : "#101416";
}
