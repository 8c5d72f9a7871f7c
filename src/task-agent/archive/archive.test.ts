import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { type Header as Headers, pack as tarPack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packArchive, unpackArchive } from "./archive.ts";
import { headerBytes, readHeader, writeHeader } from "./header.ts";

let base = "";
let from = "";
let to = "";
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-archive-"));
  from = join(base, "from");
  to = join(base, "to");
  mkdirSync(from);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const skipped: string[] = [];
const onSkipped = (name: string, reason: string): void => void skipped.push(`${name}: ${reason}`);

async function packed(path = from): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of packArchive([{ path, name: "" }], { onSkipped }).bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function unpacked(archive: Buffer, root = to, pieceBytes = 1000): Promise<void> {
  const pieces = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < archive.byteLength; at += pieceBytes) yield archive.subarray(at, at + pieceBytes);
  };
  await unpackArchive(pieces(), { root, onSkipped });
}

type ForeignEntry = Partial<Headers> & { name: string; content?: string };

/** An archive as somebody else may have made it. */
async function foreign(...entries: ForeignEntry[]): Promise<Buffer> {
  const tar = tarPack();
  for (const { content, ...header } of entries) tar.entry(header, content ?? "");
  tar.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of tar) pieces.push(piece as Buffer);
  return zstdCompressSync(Buffer.concat(pieces));
}

function listing(root: string): string[] {
  const script =
    "find . -mindepth 1 -printf '%p|%y|%m|%s|%l|%T@\\n' | sed -E 's/(\\|d\\|[0-9]+\\|)[0-9]+/\\1/' | LC_ALL=C sort";
  return execFileSync("bash", ["-c", script], { cwd: root, encoding: "latin1" }).split("\n");
}

describe("a round trip", () => {
  test("keeps modes, times, links, empty directories and odd names", async () => {
    mkdirSync(join(from, "empty"));
    mkdirSync(join(from, "d/e".repeat(60)), { recursive: true });
    writeFileSync(join(from, "run me"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(join(from, "new\nline"), "x", { mode: 0o600 });
    writeFileSync(Buffer.concat([Buffer.from(`${from}/`), Buffer.from([0xff, 0xfe, 0x41])]), "no UTF-8");
    writeFileSync(join(from, "ü".repeat(120)), "long");
    writeFileSync(join(from, "d/e".repeat(60), "deep"), "deep");
    writeFileSync(join(from, "zero"), "");
    linkSync(join(from, "run me"), join(from, "zz hard link"));
    symlinkSync("run me", join(from, "link"));
    symlinkSync(`/nowhere/${"x".repeat(200)}`, join(from, "dangling"));
    mkdirSync(join(from, "read-only"));
    writeFileSync(join(from, "read-only/file"), "x");
    chmodSync(join(from, "read-only"), 0o555);
    execFileSync("find", [from, "-exec", "touch", "-h", "-d", "@1600000000.25", "{}", "+"]);

    await unpacked(await packed());

    expect(listing(to)).toEqual(listing(from));
    expect(lstatSync(join(to, "run me")).ino).toBe(lstatSync(join(to, "zz hard link")).ino);
  });

  test("can be read by tar itself", async () => {
    mkdirSync(join(from, "a/b"), { recursive: true });
    writeFileSync(join(from, "a/b", "n".repeat(150)), "content");

    const tar = zstdDecompressSync(await packed());

    mkdirSync(to);
    execFileSync("tar", ["-xf", "-"], { cwd: to, input: tar });
    expect(readFileSync(join(to, "a/b", "n".repeat(150)), "utf8")).toBe("content");
  });

  test("brings any content back, however the archive is cut", async () => {
    const file = fc.uint8Array({ maxLength: 5000 });
    const cut = fc.integer({ min: 1, max: 3000 });
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 6 }), cut, async (files, pieceBytes) => {
        rmSync(from, { recursive: true });
        rmSync(to, { recursive: true, force: true });
        mkdirSync(from);
        for (const [index, content] of files.entries()) writeFileSync(join(from, `f${index}`), content);

        await unpacked(await packed(), to, pieceBytes);

        for (const [index, content] of files.entries())
          expect(Buffer.from(content).equals(readFileSync(join(to, `f${index}`)))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("is not held up by a fifo, and says that it is left out", async () => {
    execFileSync("bash", ["-c", `mkfifo ${from}/fifo`]);
    skipped.length = 0;

    await unpacked(await packed());

    expect(readdirSync(to)).toEqual([]);
    expect(skipped).toEqual([`${from}/fifo: it is no file, directory or link`]);
  });
});

describe("headers", () => {
  const name = fc.stringMatching(/^[\u0001-\u00ff]{1,300}$/s);
  test("come back as they were written", () => {
    const header = fc.record({
      type: fc.constantFrom("file", "link", "symlink", "directory"),
      name: name.filter((text) => text.length <= 100),
      linkName: name.filter((text) => text.length <= 100),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      sizeBytes: fc.integer({ min: 0, max: 2 ** 45 }),
      mtime: fc.integer({ min: 0, max: 2 ** 33 }).map((quarters) => quarters / 4),
    });
    fc.assert(
      fc.property(header, (written) => {
        const block = Buffer.alloc(headerBytes(written));
        writeHeader(block, 0, written);
        expect(readHeader(block)).toMatchObject(written);
      }),
    );
  });

  test("of random bytes are refused, never taken", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (bytes) => {
        fc.pre(bytes.some((byte) => byte !== 0));
        expect(() => readHeader(Buffer.from(bytes))).toThrow(/damaged/);
      }),
    );
  });
});

describe("extraction stays inside", () => {
  beforeEach(() => {
    writeFileSync(join(base, "outside"), "untouched");
    mkdirSync(join(base, "elsewhere"));
  });
  /** What is outside the root, with contents. */
  const outside = (): string[] => [
    readFileSync(join(base, "outside"), "utf8"),
    ...readdirSync(join(base, "elsewhere")),
    ...readdirSync(base).filter((name) => name !== "to"),
  ];
  const untouched = ["untouched", "elsewhere", "from", "outside"];

  test.each([
    ["`..`", [{ name: "../outside", content: "x" }], /leads out/],
    ["`..` in the middle", [{ name: "a/../../outside", content: "x" }], /leads out/],
    ["an absolute name", [{ name: "/tmp/cofferdam-escape", content: "x" }], /absolute/],
    [
      "a link that its parent is",
      [
        { name: "l", type: "symlink", linkname: "../elsewhere" },
        { name: "l/file", content: "x" },
      ],
      /a link out of/,
    ],
    [
      "a chain of links",
      [
        { name: "a", type: "symlink", linkname: "." },
        { name: "a/b", type: "symlink", linkname: ".." },
        { name: "b/elsewhere/file", content: "x" },
      ],
      /a link out of/,
    ],
    [
      "a directory behind a link",
      [
        { name: "l", type: "symlink", linkname: "../elsewhere" },
        { name: "l/d", type: "directory" },
      ],
      /a link out of/,
    ],
    ["a hard link out", [{ name: "h", type: "link", linkname: "../outside" }], /leads out/],
    [
      "a hard link to a link",
      [
        { name: "l", type: "symlink", linkname: "../outside" },
        { name: "h", type: "link", linkname: "l" },
      ],
      /is no file in it/,
    ],
  ] as const)("in the face of %s", async (_name, entries, message) => {
    await expect(unpacked(await foreign(...(entries as readonly ForeignEntry[])))).rejects.toThrow(message);
    expect(outside()).toEqual(untouched);
  });

  test("a file takes the place of a link instead of being written through it", async () => {
    await unpacked(
      await foreign({ name: "l", type: "symlink", linkname: "../outside" }, { name: "l", content: "inside" }),
    );

    expect(lstatSync(join(to, "l")).isFile()).toBe(true);
    expect(readFileSync(join(to, "l"), "utf8")).toBe("inside");
    expect(outside()).toEqual(untouched);
  });

  test("a link that takes a directory's place does not lead its mode out", async () => {
    chmodSync(join(base, "elsewhere"), 0o700);
    await unpacked(
      await foreign(
        { name: "d", type: "directory", mode: 0o777, mtime: new Date(0) },
        { name: "d", type: "symlink", linkname: "../elsewhere" },
      ),
    );

    const { mode, mtimeMs } = lstatSync(join(base, "elsewhere"));
    expect(mode & 0o777).toBe(0o700);
    expect(mtimeMs).toBeGreaterThan(0);
  });

  test("a name of many thousand parts is refused before anything is made of it", async () => {
    const deep = { name: `${"d/".repeat(20_000)}f`, content: "x" };

    await expect(unpacked(await foreign(deep), to, 100_000)).rejects.toThrow(/a name of \d+ bytes/);
  });

  test("devices and fifos are left out, setuid bits are dropped", async () => {
    skipped.length = 0;
    await unpacked(
      await foreign(
        { name: "device", type: "block-device", devmajor: 8, devminor: 0 },
        { name: "fifo", type: "fifo" },
        { name: "root-shell", mode: 0o4755, content: "x" },
      ),
    );

    expect(readdirSync(to)).toEqual(["root-shell"]);
    expect(lstatSync(join(to, "root-shell")).mode & 0o7777).toBe(0o755);
    expect(skipped.map((line) => line.split(":")[0])).toEqual(["device", "fifo"]);
  });

  test("for any names at all", async () => {
    const segment = fc.constantFrom("..", ".", "", "a", "b", "l");
    const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/") || "x");
    const entry = fc.oneof(
      path.map((name) => ({ name, content: "x" })),
      fc.tuple(path, path).map(([name, linkname]) => ({ name, type: "symlink" as const, linkname })),
      fc.tuple(path, path).map(([name, linkname]) => ({ name, type: "link" as const, linkname })),
      path.map((name) => ({ name, type: "directory" as const })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 6 }), async (entries) => {
        rmSync(to, { recursive: true, force: true });
        const before = listing(base).filter((line) => !line.startsWith("./to"));
        await unpacked(await foreign(...entries)).catch(() => {});
        expect(listing(base).filter((line) => !line.startsWith("./to"))).toEqual(before);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});

describe("damage", () => {
  test("of any kind is told, and nothing hangs", async () => {
    writeFileSync(join(from, "f"), Buffer.alloc(100_000, "abc"));
    const archive = await packed();

    await expect(unpacked(archive.subarray(0, archive.byteLength - 10))).rejects.toThrow(/./);
    await expect(unpacked(Buffer.from("this is no archive"))).rejects.toThrow(/./);
    const tar = zstdDecompressSync(archive);
    await expect(unpacked(zstdCompressSync(tar.subarray(0, 50_000)))).rejects.toThrow("it ends early");
    tar[10] = 0x41;
    await expect(unpacked(zstdCompressSync(tar))).rejects.toThrow(/checksum/);
  });

  test("an existing tree is laid over: links to directories inside stay", async () => {
    mkdirSync(join(to, "real"), { recursive: true });
    symlinkSync("real", join(to, "alias"));
    writeFileSync(join(to, "real/old"), "old");

    await unpacked(await foreign({ name: "alias", type: "directory" }, { name: "alias/new", content: "new" }));

    expect(readlinkSync(join(to, "alias"))).toBe("real");
    expect(existsSync(join(to, "real/old"))).toBe(true);
    expect(readFileSync(join(to, "real/new"), "utf8")).toBe("new");
  });
});
