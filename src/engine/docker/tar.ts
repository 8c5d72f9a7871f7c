import { Readable } from "node:stream";
import { extract, type Header, pack } from "tar-stream";

/** A tar with one entry: a directory with this name and owner. Engines give an existing directory to that owner. */
export async function directoryArchive(name: string, owner: { uid: number; gid: number }): Promise<Buffer> {
  const archive = pack();
  archive.entry({
    name: `${name}/`,
    type: "directory",
    mode: 0o755,
    uid: owner.uid,
    gid: owner.gid,
    mtime: new Date(0),
  });
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The first entry of a tar, with what it holds; undefined where there is none. */
export async function firstEntry(archive: Buffer): Promise<{ header: Header; content: Buffer } | undefined> {
  const entries = Readable.from([archive]).pipe(extract());
  for await (const entry of entries) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    return { header: entry.header, content: Buffer.concat(chunks) };
  }
  return undefined;
}
