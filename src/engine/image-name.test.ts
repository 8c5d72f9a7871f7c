import fc from "fast-check";
import { expect, test } from "vitest";
import { fullName, readImageName } from "./image-name.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

test.each([
  ["debian", "docker.io/library/debian:latest"],
  ["debian:12", "docker.io/library/debian:12"],
  ["library/debian", "docker.io/library/debian:latest"],
  ["docker.io/debian", "docker.io/library/debian:latest"],
  ["index.docker.io/library/debian:12", "docker.io/library/debian:12"],
  ["Docker.IO/debian", "docker.io/library/debian:latest"],
  ["team/app", "docker.io/team/app:latest"],
  ["localhost/app", "localhost/app:latest"],
  ["registry.example/app", "registry.example/app:latest"],
  ["REGISTRY.example:5000/app:1", "registry.example:5000/app:1"],
  ["host:5000/a/b/c", "host:5000/a/b/c:latest"],
  [`debian@${digest}`, `docker.io/library/debian@${digest}`],
  [`debian:12@${digest}`, `docker.io/library/debian@${digest}`],
  ["deadbeefcafe", "docker.io/library/deadbeefcafe:latest"],
])("%s is %s", (spelling, name) => {
  expect(fullName(readImageName(spelling))).toBe(name);
});

test.each(["", "Debian", "a b", "a/../b", "-x", digest, digest.slice(7), "x:", "x@sha256:12", `${"a/".repeat(600)}a`])(
  "%j is no name of an image",
  (text) => {
    expect(() => readImageName(text)).toThrow(expect.objectContaining({ code: "bad-reference" }) as Error);
  },
);

test("a name written out is read as itself", () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?$/);
  const host = fc.constantFrom("", "docker.io/", "registry.example/", "localhost/", "10.0.0.1:5000/");
  const tag = fc.option(fc.stringMatching(/^:[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}$/), { nil: "" });

  fc.assert(
    fc.property(host, fc.array(part, { minLength: 1, maxLength: 3 }), tag, (where, parts, end) => {
      const name = fullName(readImageName(`${where}${parts.join("/")}${end}`));
      expect(fullName(readImageName(name))).toBe(name);
    }),
  );
});
