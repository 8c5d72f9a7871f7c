import { expect, test } from "vitest";
import { parse } from "yaml";
import { compileConfig, printCompiled } from "../index.ts";

const text = `version: 2.1

jobs:
  build:
    docker: [{image: busybox, environment: {A: "yes", B: "1:30", C: "2019-01-01", D: "0777", E: "null", F: "~", G: ".5"}}]
    steps: [run: "<< pipeline.number >>"]
`;

test("what was resolved stands at the top, and the config itself at the end", async () => {
  const { compiled } = await compileConfig(text);
  const orbs = [{ reference: "acme/tools@1", resolved: "acme/tools@1.2.3" }];

  const printed = compiled ? printCompiled(compiled, { source: text, orbs }) : "";

  expect(printed.split("\n")[0]).toBe("# Orb 'acme/tools@1' resolved to 'acme/tools@1.2.3'");
  expect(printed.slice(printed.indexOf("\n\n# Original"))).toMatch(
    /^\n\n# Original config.yml file:\n# version: 2.1\n#\n# jobs:\n/,
  );
});

test("texts stay texts for every reader, old or new", async () => {
  const { compiled } = await compileConfig(text);
  const printed = compiled ? printCompiled(compiled) : "";

  for (const version of ["1.1", "1.2"] as const) {
    expect(parse(printed, { version }).jobs.build.docker[0].environment).toEqual({
      A: "yes",
      B: "1:30",
      C: "2019-01-01",
      D: "0777",
      E: "null",
      F: "~",
      G: ".5",
    });
  }
});
