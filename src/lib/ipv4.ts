/** First and last address of an IPv4 network, as numbers. */
export interface Ipv4Range {
  first: number;
  last: number;
}

/** `10.1.2.3` or `10.0.0.0/8`; undefined where it is neither. What is beyond the prefix is cut off. */
export function parseIpv4(text: string): Ipv4Range | undefined {
  const [address = "", prefix = "32", ...rest] = text.split("/");
  const parts = address.split(".");
  const areNumbers = [...parts, prefix].every((part) => /^\d{1,3}$/.test(part));
  if (rest.length > 0 || parts.length !== 4 || !areNumbers) return undefined;
  const bytes = parts.map(Number);
  const bits = Number(prefix);
  if (bytes.some((byte) => byte > 255) || bits > 32) return undefined;
  const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const size = 2 ** (32 - bits);
  const first = number - (number % size);
  return { first, last: first + size - 1 };
}

export function overlap(a: Ipv4Range, b: Ipv4Range): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** The same addresses in as few ranges as they need, in order. */
export function merged(ranges: readonly Ipv4Range[]): Ipv4Range[] {
  const result: Ipv4Range[] = [];
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before && first <= before.last + 1) before.last = Math.max(before.last, last);
    else result.push({ first, last });
  }
  return result;
}

/** `10.0.0.0-10.255.255.255`, or the address where it is one. */
export function rangeText({ first, last }: Ipv4Range): string {
  return first === last ? addressText(first) : `${addressText(first)}-${addressText(last)}`;
}

function addressText(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}
