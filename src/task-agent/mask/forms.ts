/** Shorter values would blot out half of every log; CircleCI leaves them alone too. */
const minBytes = 4;
const neverSecret = new Set(["true", "True", "false", "False"]);

/**
 * Every byte string that stands for one of these values in output: itself, its lines, and the encodings that programs
 * print by habit. Compressed or encoded twice it is not found.
 */
export function secretForms(values: readonly string[]): Buffer[] {
  const forms = new Set<string>();
  for (const value of values) {
    if (neverSecret.has(value)) continue;
    for (const part of [value, ...lines(value)]) {
      if (Buffer.byteLength(part) < minBytes || neverSecret.has(part)) continue;
      for (const form of formsOf(part)) if (form.length >= minBytes) forms.add(form);
    }
  }
  return [...forms].map((form) => Buffer.from(form, "latin1"));
}

/** Without the space around them: a shell drops it where a variable is not quoted. */
function lines(value: string): string[] {
  return value.split("\n").map((line) => line.trim());
}

/** As latin1: one character a byte. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const hex = bytes.toString("hex");
  const url = encodeURIComponent(value.toWellFormed());
  const json = JSON.stringify(value).slice(1, -1);
  return [
    bytes.toString("latin1"),
    ...base64Forms(bytes),
    hex,
    hex.toUpperCase(),
    ...[
      value.replaceAll("\n", "\r\n"),
      url,
      url.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
      url.replaceAll("%20", "+"),
      json,
      JSON.stringify(json).slice(1, -1),
      json.replaceAll("/", "\\/"),
      value.replaceAll("'", String.raw`'\''`),
      value.replaceAll("'", `'"'"'`),
      value.replaceAll(/[^\w@%+=:,./-]/g, (char) => `\\${char}`),
      value.replaceAll(/["$`\\]/g, (char) => `\\${char}`),
      xmlEscaped(value),
    ].map((text) => Buffer.from(text).toString("latin1")),
  ];
}

function xmlEscaped(value: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return value.replaceAll(/[&<>"']/g, (char) => entities[char] ?? char);
}

/** The characters that do not depend on the neighbours, for each place that the value can have in a group of three. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const core = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.byteLength) * 8) / 6));
    return [core, core.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
