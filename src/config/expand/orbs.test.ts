import { expect, test } from "vitest";
import { compileConfig, type OrbSource } from "../index.ts";

const orb = (imports: string) => `version: 2.1
orbs: {other: ${imports}}
commands: {go: {steps: [run: went]}}
`;

function sourceOf(texts: Record<string, string>): OrbSource & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async find(reference) {
      const name =
        reference.kind === "url" ? reference.url : `${reference.namespace}/${reference.name}@${reference.version}`;
      asked.push(name);
      const text = texts[name];
      return text === undefined ? { found: false, reason: "no-such-orb" } : { found: true, resolved: name, text };
    },
  };
}

const config = (orbs: string, step = "a/go") => `version: 2.1
orbs: ${orbs}
jobs:
  build:
    docker: [{image: busybox}]
    steps: [${step}]
`;

test("orbs that import each other are told, and nothing waits for itself", async () => {
  const orbs = sourceOf({ "x/a@1": orb("x/b@1"), "x/b@1": orb("x/a@1") });

  const { diagnostics } = await compileConfig(config("{a: x/a@1, b: x/b@1}"), { orbs });

  expect(diagnostics.map((one) => one.code)).toContain("orb-cycle");
  expect(orbs.asked.sort()).toEqual(["x/a@1", "x/b@1"]);
});

test("an orb is asked for once, however often it is imported", async () => {
  const orbs = sourceOf({ "x/a@1": orb("x/c@1"), "x/b@1": orb("x/c@1"), "x/c@1": "commands: {}\n" });

  const { compiled, orbs: resolved } = await compileConfig(config("{a: x/a@1, b: x/b@1, again: x/a@1}"), { orbs });

  expect(orbs.asked.toSorted()).toEqual(["x/a@1", "x/b@1", "x/c@1"]);
  expect(resolved.map((one) => one.resolved)).toEqual(["x/a@1", "x/b@1", "x/c@1"]);
  expect(compiled?.jobs["build"]?.steps).toEqual([{ run: { command: "went" } }]);
});

test("a source that fails makes a finding, and only when the orb is used", async () => {
  const orbs: OrbSource = { find: () => Promise.reject(new Error("no route to host")) };

  const used = await compileConfig(config("{a: x/a@1}"), { orbs });
  const unused = await compileConfig(config("{a: x/a@1}", "checkout"), { orbs });

  expect(used.diagnostics).toMatchObject([
    { code: "orb-unavailable", line: 2, message: expect.stringContaining("no route to host") },
  ]);
  expect(unused.compiled?.jobs["build"]?.steps).toEqual(["checkout"]);
});

test("a mistake in an orb is shown in the orb", async () => {
  const orbs = sourceOf({ "x/a@1": "commands:\n  go: {steps: [gone]}\n" });

  const { diagnostics } = await compileConfig(config("{a: x/a@1}"), { orbs });

  expect(diagnostics).toMatchObject([
    {
      code: "unknown-command",
      file: "x/a@1",
      line: 2,
      chain: ["Error calling workflow: 'workflow'", "Error calling job: 'build'", "Error calling command: 'a/go'"],
    },
  ]);
});

test("an orb that is no orb is told with what is wrong in it", async () => {
  const orbs = sourceOf({ "x/a@1": "commands: [\n" });

  const { diagnostics } = await compileConfig(config("{a: x/a@1}"), { orbs });

  expect(diagnostics.map(({ code, file }) => `${code} ${file}`).sort()).toEqual([
    "bad-orb .circleci/config.yml",
    "yaml-syntax x/a@1",
  ]);
});
