/** The part of tar's format that we read and write: ustar with the base-256 sizes and long names of GNU, and pax to read. */
export const blockBytes = 512;

const entryTypes = [
  "file",
  "link",
  "symlink",
  "directory",
  "pax",
  "global-pax",
  "long-name",
  "long-link",
  "other",
] as const;
type EntryType = (typeof entryTypes)[number];

/** Names are latin1 strings that stand for bytes: not every file name is UTF-8. */
export interface Header {
  type: EntryType;
  name: string;
  linkName: string;
  mode: number;
  sizeBytes: number;
  /** Seconds since the epoch, with fractions. */
  mtime: number;
  /** tar's own letter, for messages. */
  flag: string;
}

const flags: Record<string, EntryType> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "link",
  "2": "symlink",
  "5": "directory",
  x: "pax",
  g: "global-pax",
  L: "long-name",
  K: "long-link",
};
const letters: Partial<Record<EntryType, string>> = {
  file: "0",
  link: "1",
  symlink: "2",
  directory: "5",
  "long-name": "L",
  "long-link": "K",
};

export class ArchiveError extends Error {
  override name = "ArchiveError";
}

/** Writes one header (and, before it, the blocks that carry names over 100 bytes) at an offset. Returns the offset behind it. */
export function writeHeader(target: Buffer, offset: number, header: Omit<Header, "flag">): number {
  let at = offset;
  if (header.name.length > 100) at = writeLong(target, at, "long-name", header.name);
  if (header.linkName.length > 100) at = writeLong(target, at, "long-link", header.linkName);
  return writeBlock(target, at, header);
}

/** Bytes that a header takes at most, its names included. */
export function headerBytes(header: Omit<Header, "flag">): number {
  const long = (name: string): number => (name.length > 100 ? blockBytes + padded(name.length + 1) : 0);
  return blockBytes + long(header.name) + long(header.linkName);
}

export function padded(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}

function writeLong(target: Buffer, offset: number, type: "long-name" | "long-link", name: string): number {
  const sizeBytes = name.length + 1;
  const at = writeBlock(target, offset, { type, name: "././@LongLink", linkName: "", mode: 0, sizeBytes, mtime: 0 });
  target.fill(0, at, at + padded(sizeBytes));
  target.write(name, at, "latin1");
  return at + padded(sizeBytes);
}

function writeBlock(target: Buffer, at: number, header: Omit<Header, "flag">): number {
  target.fill(0, at, at + blockBytes);
  target.write(header.name.slice(0, 100), at, "latin1");
  writeOctal(target, at + 100, 8, header.mode);
  writeOctal(target, at + 108, 8, 0);
  writeOctal(target, at + 116, 8, 0);
  writeSize(target, at + 124, header.sizeBytes);
  const seconds = Math.max(0, Math.floor(header.mtime));
  writeOctal(target, at + 136, 12, seconds);
  target.write(letters[header.type] ?? "0", at + 156, "latin1");
  target.write(header.linkName.slice(0, 100), at + 157, "latin1");
  target.write("ustar\u000000", at + 257, "latin1");
  // The block's last twelve bytes belong to nobody: they carry what a tar header has no field for.
  const micros = Math.round((Math.max(0, header.mtime) - seconds) * 1e6);
  if (micros > 0) target.write(`us${String(micros).padStart(6, "0")}`, at + 500, "latin1");
  target.fill(0x20, at + 148, at + 156);
  target.write(`${checksum(target, at).toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  return at + blockBytes;
}

function writeOctal(target: Buffer, at: number, length: number, value: number): void {
  target.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
}

function writeSize(target: Buffer, at: number, bytes: number): void {
  if (bytes <= 0o77777777777) return writeOctal(target, at, 12, bytes);
  target[at] = 0x80;
  target.writeUIntBE(Math.floor(bytes / 2 ** 32), at + 4, 4);
  target.writeUInt32BE(bytes % 2 ** 32, at + 8);
}

/** Undefined for the block of zeros at the end. Throws ArchiveError. */
export function readHeader(block: Buffer): Header | undefined {
  if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined;
  const stated = readNumber(block, 148, 8);
  const actual = checksum(block, 0) - sum(block, 148, 156) + 8 * 0x20;
  if (stated !== actual) throw new ArchiveError("it is damaged: a header's checksum does not fit");
  const flag = String.fromCharCode(block[156] ?? 0);
  const ustar = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = ustar ? readText(block, 345, 155) : "";
  const name = readText(block, 0, 100);
  const micros = /^us(\d{6})$/.exec(block.toString("latin1", 500, 508))?.[1];
  return {
    type: flags[flag] ?? "other",
    name: prefix ? `${prefix}/${name}` : name,
    linkName: readText(block, 157, 100),
    mode: readNumber(block, 100, 8),
    sizeBytes: readNumber(block, 124, 12),
    mtime: readNumber(block, 136, 12) + Number(micros ?? 0) / 1e6,
    flag,
  };
}

function readText(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString("latin1", at, end < 0 || end > at + length ? at + length : end);
}

function readNumber(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0;
  if (first & 0x80) {
    let value = 0;
    for (let index = 1; index < length; index += 1) value = value * 256 + (block[at + index] ?? 0);
    if (first !== 0x80 || !Number.isSafeInteger(value))
      throw new ArchiveError("it is damaged: a number in it is out of range");
    return value;
  }
  const text = block
    .toString("latin1", at, at + length)
    .replace(/[\0 ]+$/, "")
    .trim();
  if (!/^[0-7]*$/.test(text)) throw new ArchiveError("it is damaged: a number in it is none");
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function checksum(bytes: Buffer, at: number): number {
  return sum(bytes, at, at + blockBytes);
}

function sum(bytes: Buffer, from: number, to: number): number {
  let total = 0;
  for (let index = from; index < to; index += 1) total += bytes[index] ?? 0;
  return total;
}
