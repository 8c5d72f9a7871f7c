import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packDirectory } from "./pack-directory.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "pack-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
}

test("folders and files become keys, and files of the root and those with an @ give their keys to their place", async () => {
  await write({
    "@orb.yml": "version: 2.1\ndescription: An orb\n",
    "jobs/build.yml": "machine: true\nsteps: [checkout]\n",
    "jobs/@shared.yaml": "lint:\n  machine: true\n  steps: []\n",
    "commands/greet.yml": "steps:\n  - run: echo hello\n",
    "commands/README.md": "no YAML",
    ".hidden/x.yml": "a: 1\n",
    "jobs/.x.yml": "a: 1\n",
  });

  expect(await packDirectory(directory)).toBe(`version: 2.1
description: An orb
commands:
  greet:
    steps:
      - run: echo hello
jobs:
  lint:
    machine: true
    steps: []
  build:
    machine: true
    steps: [ checkout ]
`);
});

test("a file that stands for a folder is joined with it, and of equal keys the later wins", async () => {
  await write({
    "a.yml": "jobs:\n  one: {machine: true}\n  two: {machine: true}\n",
    "jobs/two.yml": "machine: false\n",
  });

  expect(await packDirectory(directory)).toBe("jobs:\n  one: { machine: true }\n  two:\n    machine: false\n");
});

test("quotes, numbers as written, anchors and comments come out as they went in", async () => {
  const text = `# what it is
a: "yes"
b: 3.10
c: &list
  - 0x1f # hex
d: *list
`;
  await write({ "config.yml": text });

  expect(await packDirectory(directory)).toBe(text);
});

test("an include stands for the text of a file, whose templates are escaped", async () => {
  await write({
    "@orb.yml": "version: 2.1\n",
    "commands/greet.yml": "steps:\n  - run:\n      command: <<include(scripts/greet.sh)>>\n",
    "scripts/greet.sh": "cat <<EOF\nhello\nEOF\n",
    "scripts/x.yml": "a: 1\n",
  });

  expect(await packDirectory(directory, { folders: ["commands"] })).toBe(`version: 2.1
commands:
  greet:
    steps:
      - run:
          command: |
            cat \\<<EOF
            hello
            EOF
`);
});

const refused: [Record<string, string>, string][] = [
  [{ "a.yml": "- a list\n" }, "a.yml is no map"],
  [{ "a.yml": "a: [1\n" }, "a.yml is not YAML"],
  [{ "a.yml": "a: before << include(b) >>\n" }, "has more than its include"],
  [{ "a.yml": "a: <<include(b)>><<include(c)>>\n" }, "has several includes"],
  [{ "a.yml": "a: <<include(b)>>\n" }, "b: there is no such file"],
];
test.each(refused)("%j is refused: %s", async (files, message) => {
  await write(files);

  await expect(packDirectory(directory)).rejects.toThrow(message);
});

test("a directory that is not there is said to be so", async () => {
  await expect(packDirectory(join(directory, "nowhere"))).rejects.toThrow("nowhere: there is no such file");
});
