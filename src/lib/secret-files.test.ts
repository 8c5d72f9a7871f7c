import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { withSecretFiles } from "./secret-files.ts";

const directory = mkdtempSync(join(tmpdir(), "secret-files-"));
const file = join(directory, "token");
writeFileSync(file, "hush-hush\n");
writeFileSync(join(directory, "empty"), "\n");
afterAll(() => rmSync(directory, { recursive: true }));

test("a secret comes from its file, without the line's end", () => {
  expect(withSecretFiles({ TOKEN_FILE: file, OTHER_FILE: file }, ["TOKEN", "ABSENT"])).toEqual({
    TOKEN: "hush-hush",
    OTHER_FILE: file,
  });
});

test("an empty file is as none where that has a meaning", () => {
  expect(withSecretFiles({ TOKEN_FILE: join(directory, "empty") }, ["TOKEN"], ["TOKEN"])).toEqual({});
});

test.each([
  [{ TOKEN: "hush-hush", TOKEN_FILE: file }, "TOKEN and TOKEN_FILE are both set"],
  [{ TOKEN_FILE: join(directory, "none") }, /^TOKEN_FILE: \S+none cannot be read \(ENOENT\)$/],
  [{ TOKEN_FILE: join(directory, "empty") }, /^TOKEN_FILE: \S+empty is empty$/],
])("what is wrong with it is said without the secret (%#)", (environment, words) => {
  expect(() => withSecretFiles(environment, ["TOKEN"])).toThrow(words);
});
