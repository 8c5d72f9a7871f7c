import { ArchiveError, type Header } from "./header.ts";

export type Overrides = Partial<Pick<Header, "name" | "linkName" | "sizeBytes" | "mtime">>;

/** Records of a pax header, `LENGTH KEY=VALUE\n` each, laid over the header that follows. Throws ArchiveError. */
export function applyPax(content: Buffer, overrides: Overrides): void {
  for (let at = 0; at < content.byteLength && content[at] !== 0; ) {
    const space = content.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(content.toString("latin1", at, space));
    if (!Number.isInteger(length) || length <= space - at || at + length > content.byteLength)
      throw new ArchiveError("it is damaged: a pax record has no length");
    const record = content.toString("latin1", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    apply(record.slice(0, equals), record.slice(equals + 1), overrides);
    at += length;
  }
}

function apply(key: string, value: string, overrides: Overrides): void {
  if (key === "path") overrides.name = value;
  else if (key === "linkpath") overrides.linkName = value;
  else if (key === "size") overrides.sizeBytes = number(value);
  else if (key === "mtime") overrides.mtime = number(value);
  else if (key.startsWith("GNU.sparse")) throw new ArchiveError("it has sparse files, which are not supported");
}

function number(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value) || value > Number.MAX_SAFE_INTEGER)
    throw new ArchiveError("it is damaged: a number in it is out of range");
  return Math.max(0, value);
}
