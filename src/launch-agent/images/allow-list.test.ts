import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readImageName } from "../../engine/image-name.ts";
import { AllowList } from "./allow-list.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

function allows(patterns: string[], image: string): boolean {
  return new AllowList("resource class acme/small", patterns).refusal(readImageName(image)) === undefined;
}

describe("a list", () => {
  test.each([
    ["debian", "docker.io/library/debian:12"],
    ["debian", `debian@${digest}`],
    ["docker.io/library/debian", "debian"],
    ["index.docker.io/debian", "debian"],
    ["debian:12", "library/debian:12"],
    ["debian:1*", "debian:12-slim"],
    ["debian*", "debian-slim"],
    ["team/*", "docker.io/team/a/b:1"],
    ["registry.example:5000/*", "registry.example:5000/a/b:1"],
    ["Registry.Example/app", "registry.example/app"],
    ["*.example/app", "eu.registry.example/app"],
    ["*", "anything.at/all"],
    [`debian@${digest}`, `debian:12@${digest}`],
  ])("with %s allows %s", (pattern, image) => {
    expect(allows([pattern], image)).toBe(true);
  });

  test.each([
    ["debian", "evil.example/debian"],
    ["debian", "evil.example/docker.io/library/debian"],
    ["debian", "debian-evil"],
    ["debian:12", "debian:13"],
    ["debian:12", "debian"],
    ["debian:12", `debian:12@${digest}`],
    [`debian@${digest}`, "debian:12"],
    ["*.example/app", "evil.host/a.example/app"],
    ["registry.example/*", "registry.example:5000/app"],
    ["registry.example/*", "registryxexample/app"],
    ["team/*", "registry.example/team/app"],
    ["registry.example/app", "registry-example/app"],
  ])("with %s does not allow %s", (pattern, image) => {
    expect(allows([pattern], image)).toBe(false);
  });

  test("decides the same for every spelling of a name", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,6}$/);
    const name = fc.record({ repository: part, tag: fc.stringMatching(/^[a-z0-9]{1,6}$/) });
    const pattern = fc.constantFrom("a*", "*", "docker.io/*", "library/*", "index.docker.io/library/a*:*", "b*:1*");

    fc.assert(
      fc.property(name, pattern, ({ repository, tag }, allowed) => {
        const spellings = [
          "",
          "library/",
          "docker.io/",
          "docker.io/library/",
          "index.docker.io/",
          "DOCKER.io/library/",
        ];
        const decisions = spellings.map((prefix) => allows([allowed], `${prefix}${repository}:${tag}`));
        expect(new Set(decisions).size).toBe(1);
      }),
    );
  });

  test("says whose it is and what it allows", () => {
    const list = new AllowList("resource class acme/small", ["debian", "team/*"]);

    expect(list.refusal(readImageName("evil.example/x"))).toBe(
      "image evil.example/x:latest is not allowed by the resource class acme/small, which allows debian, team/*. " +
        "Use another image, or ask its operator",
    );
  });
});
