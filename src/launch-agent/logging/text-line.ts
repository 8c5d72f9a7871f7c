const levels: Readonly<Record<number, { name: string; color: number }>> = {
  20: { name: "DEBUG", color: 90 },
  30: { name: "INFO ", color: 36 },
  40: { name: "WARN ", color: 33 },
  50: { name: "ERROR", color: 31 },
};

/** A line of JSON as one line for people: `time LEVEL message key=value`. What it quotes can neither break nor color it. */
export function textLine(json: string, options: { color: boolean }): string {
  const { level, time, msg, ...facts } = JSON.parse(json) as Record<string, unknown>;
  const { name, color } = levels[Number(level)] ?? { name: String(level), color: 0 };
  const shown = options.color ? `\u001b[${color}m${name}\u001b[0m` : name;
  const rest = Object.entries(facts).map(([key, value]) => ` ${key}=${inText(value)}`);
  return `${String(time)} ${shown} ${disarm(String(msg))}${rest.join("")}\n`;
}

function inText(value: unknown): string {
  if (typeof value === "string" && /^[\w./:@+-]+$/.test(value)) return value;
  return disarm(JSON.stringify(value) ?? "");
}

/** C1 codes and the separators that JSON leaves alone, too: some terminals obey them. */
function disarm(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
