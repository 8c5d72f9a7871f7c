import { expect, test } from "vitest";
import { withoutCredentials } from "./credentials.ts";

test.each([
  ["https://token@example.org/a.git", "https://example.org/a.git"],
  [
    "could not fetch 'https://me:p@ss@example.org:8443/a' at all",
    "could not fetch 'https://example.org:8443/a' at all",
  ],
  ["ssh://git@example.org/a.git", "ssh://git@example.org/a.git"],
  ["ssh://git:secret@example.org/a.git", "ssh://git@example.org/a.git"],
  ["git@example.org:a/b.git", "git@example.org:a/b.git"],
  ["https://example.org/a@b", "https://example.org/a@b"],
])("%s is told as %s", (words, told) => {
  expect(withoutCredentials(words)).toBe(told);
});
